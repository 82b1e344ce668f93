import type { OperatorVerb } from '@kata-agent/catalogue';
import { type Certificate, commonNames, formatPin, grantsPeer, type PeerEntry } from '@kata-agent/x509';
import type { Guest } from '../guest.js';

/** Guests whose relay is trusted accept no other names of operators (docs/realm-operators.md, "What the realm does with a call"). */
const longestName = 256;

/** A client that some `[[operator]]` entry names, with the sum of what its entries allow. */
export interface Operator {
  /** The entry of `peers` that its certificate matches: `uri:spiffe://example/ops/alice`, as the certificate says it. */
  readonly name: string;
  /** Reports whether the operator may do this with the guest. */
  may(verb: OperatorVerb, guest: Pick<Guest, 'name'>): boolean;
  /**
   * Reports whether the realm may make this call to a guest for the operator: with `relay = "trusted"`.
   *
   * @param method of AgentService or of the management service: `ExecProcess`.
   */
  mayCall(method: string, guest: Pick<Guest, 'name'>): boolean;
}

/** An `[[operator]]` entry. */
export interface OperatorEntry {
  readonly peers: readonly PeerEntry[];
  /** Names; the last character of a pattern can be `*`. */
  readonly guests: readonly string[];
  readonly verbs: ReadonlySet<OperatorVerb>;
  /** Of AgentService and of the management service. */
  readonly methods: ReadonlySet<string>;
}

/** Returns the operator of a certificate, with the sum of what its entries allow; undefined if none names it. */
export function operatorOf(
  entries: readonly OperatorEntry[],
  certificate: Certificate,
): Operator | undefined {
  const own = entries.filter(({ peers }) => peers.some((peer) => grantsPeer(peer, certificate)));
  const peer = own.flatMap(({ peers }) => peers).find((each) => grantsPeer(each, certificate));
  if (peer === undefined) return undefined;
  const allows = (verb: OperatorVerb, name: string): readonly OperatorEntry[] =>
    own.filter(({ verbs, guests }) => verbs.has(verb) && guests.some((pattern) => fits(pattern, name)));
  return {
    name: nameOf(peer, certificate),
    may: (verb, { name }) => allows(verb, name).length > 0,
    mayCall: (method, { name }) => allows('connect', name).some(({ methods }) => methods.has(method)),
  };
}

function fits(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** The entry as the certificate says it. */
function nameOf(peer: PeerEntry, certificate: Certificate): string {
  return knownName(peer) ?? ownName(certificate);
}

/** Returns the name of each operator that an entry of `peers` names; undefined if it depends on the certificate. */
export function knownName(peer: PeerEntry): string | undefined {
  switch (peer.kind) {
    case 'uri':
      return `uri:${peer.uri}`;
    case 'dns':
      return `dns:${peer.name}`;
    case 'cn':
      return `cn:${peer.name}`;
    case 'subject':
      return `subject:${peer.name}`;
    case 'spki':
      return formatPin(peer.hash);
    case 'uri-below':
    case 'any':
      return undefined;
  }
}

/** The one URI or common name of a certificate, or its key: what two certificates can have in common is not its name. */
function ownName({ alternativeNames, subject, spki }: Certificate): string {
  const [uri, ...moreUris] = alternativeNames.filter(({ kind }) => kind === 'uri');
  if (uri !== undefined && moreUris.length === 0) return `uri:${uri.value}`;
  const [name, ...moreNames] = commonNames(subject);
  if (name !== undefined && moreNames.length === 0) return `cn:${name}`;
  return formatPin(spki);
}

/** Returns why guests whose relay is trusted refuse each call of an operator of this name; undefined if they do not. */
export function operatorNameFault(name: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(name)) return 'has characters that are not printable ASCII';
  return name.length > longestName ? `has more than ${longestName} characters` : undefined;
}
