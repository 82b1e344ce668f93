import { type ManagementMethod, managementMethods } from './management.js';

/** What an operator of a realm can be allowed to do with a guest. Realm and guest decide by the same table. */
export const operatorVerbs = ['list', 'connect', 'audit', 'revoke'] as const;

export type OperatorVerb = (typeof operatorVerbs)[number];

/** What a verb opens in a guest, beside `grpc.Health`. */
interface VerbRow {
  readonly purpose: string;
  /** Methods of AgentService, as the lists and rules of the listener allow them. */
  readonly opensAgent: boolean;
  /** Methods of the management service. */
  readonly management: readonly ManagementMethod[];
}

export const operatorVerbTable: { readonly [V in OperatorVerb]: VerbRow } = {
  list: {
    purpose: 'Sees that the guest is connected. Only the realm decides about it.',
    opensAgent: false,
    management: [],
  },
  connect: {
    purpose: 'Connects to the guest, and calls what its lists and rules allow.',
    opensAgent: true,
    management: ['Describe', 'ListContainers', 'Attest'],
  },
  audit: {
    purpose: 'Reads the audit log.',
    opensAgent: false,
    management: ['WatchAudit', 'GetCheckpoint', 'Attest'],
  },
  revoke: {
    purpose: 'Revokes other operators.',
    opensAgent: false,
    management: ['RevokePeer', 'Attest'],
  },
};

/** The verbs that open something in a guest: only these can be named in its configuration. */
export const guestVerbs: readonly OperatorVerb[] = operatorVerbs.filter(
  (verb) => operatorVerbTable[verb].opensAgent || operatorVerbTable[verb].management.length > 0,
);

/** Returns the verbs of which each one opens a method of the management service. */
export function verbsThatOpen(method: ManagementMethod): readonly OperatorVerb[] {
  return operatorVerbs.filter((verb) => operatorVerbTable[verb].management.includes(method));
}

/** Returns the methods of the management service that at least one of the verbs opens, in the order of the service. */
export function managementOf(verbs: Iterable<OperatorVerb>): readonly ManagementMethod[] {
  const opened = new Set([...verbs].flatMap((verb) => operatorVerbTable[verb].management));
  return managementMethods.filter((method) => opened.has(method));
}
