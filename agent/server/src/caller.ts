import type { ManagementMethod } from '@kata-agent/catalogue';
import type { RulePeer } from '@kata-agent/gate';
import type { CallInfo } from '@kata-agent/ttrpc';

/** The metadata by which a server that is trusted names the operator for whom it makes a call. */
const operatorKey = 'kata-agent-operator';

/** Printable ASCII, so that no record or log line is deceived by it. */
const operatorName = /^[\x20-\x7e]{1,256}$/;

/** A connection's listener and peer. */
export interface Caller {
  /** The listener's name in the configuration. */
  readonly listener: string;
  /** The peer in audit records: `pid 812 uid 0` on a unix socket, `cid 2` on vsock. */
  readonly peer: string;
  /** The peer in rules. */
  readonly identity: RulePeer;
  /**
   * Returns the exporter of the agent's TLS connection (RFC 9266), in hex: with the caller, or with the server that it has dialled.
   * Absent: there is no TLS.
   */
  readonly exporter?: () => string;
  /** Of a connection that the agent has dialled: what its server may do in it. Absent: the peer is a caller like others. */
  readonly realm?: Realm;
  /** Of an operator of such a server. Absent: the lists of the listener decide alone. */
  readonly rights?: OperatorRights;
}

/** What an operator may do in the guest, by its certificate, whatever the server allows it (S44). */
export interface OperatorRights {
  /** Whether it calls methods of AgentService, as lists and rules allow them. */
  readonly agent: boolean;
  readonly management: ReadonlySet<ManagementMethod>;
}

/** What a server that the agent has dialled may do in its connection (docs/adr/realm.md). */
export type Realm =
  /** It makes the calls of its operators, and is believed with each. */
  | { readonly relay: 'trusted' }
  /** It makes no call of AgentService, and can ask for a connection of an operator. */
  | {
      readonly relay: 'operator-tls';
      /**
       * Dials the server once more, with a token of 32 bytes, for an operator whom the server tells apart by `operator`; empty
       * if it does not. Resolves when the server has accepted that connection. Rejects
       * with a TtrpcError RESOURCE_EXHAUSTED or a DialFailure.
       */
      readonly openConnection: (
        token: Uint8Array,
        operator: Uint8Array,
        signal: AbortSignal,
      ) => Promise<void>;
    };

/**
 * Returns the key by which places and turns are counted: connections of one caller have the same. Of a certificate its names count,
 * since a caller can have several certificates, each renewed.
 */
export function callerKey({ identity, realm }: Pick<Caller, 'identity' | 'realm'>): string {
  if (realm !== undefined) return 'server';
  const { kind, cid, uid, subject = '', sans = [] } = identity;
  return kind === 'tls' ? `tls ${JSON.stringify([subject, ...sans])}` : `${kind} ${cid ?? uid ?? ''}`;
}

/**
 * Returns the caller of a call. Where a server is trusted, it names an operator with each call, if it makes the call for one. In
 * other connections the metadata has no meaning.
 */
export function callerOf({
  connection,
  metadata,
}: Pick<CallInfo<Caller>, 'connection' | 'metadata'>): Caller {
  if (connection.realm?.relay !== 'trusted') return connection;
  const [operator, ...more] = metadata.get(operatorKey) ?? [];
  if (operator === undefined || more.length > 0 || !operatorName.test(operator)) return connection;
  return { ...connection, identity: { ...connection.identity, claimedOperator: operator } };
}

/** Returns what is wrong with the operator that a call names; undefined if nothing is, or if it names none. */
export function operatorFault({
  connection,
  metadata,
}: Pick<CallInfo<Caller>, 'connection' | 'metadata'>): string | undefined {
  if (connection.realm?.relay !== 'trusted') return undefined;
  const values = metadata.get(operatorKey);
  if (values === undefined) return undefined;
  const [operator = '', ...more] = values;
  if (more.length === 0 && operatorName.test(operator)) return undefined;
  // Without the text, which could be anything.
  return `the metadata ${operatorKey} must have one value, of 1 to 256 characters of printable ASCII`;
}
