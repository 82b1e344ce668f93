import type { ManagementMethod } from '@kata-agent/catalogue';
import type { RulePeer } from '@kata-agent/gate';

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
       * with TooManyConnections or a DialFailure.
       */
      readonly openConnection: (
        token: Uint8Array,
        operator: Uint8Array,
        signal: AbortSignal,
      ) => Promise<void>;
    };
