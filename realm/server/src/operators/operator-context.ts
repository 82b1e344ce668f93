import type { OperatorVerb } from '@kata-agent/catalogue';
import type { Duplex } from 'node:stream';
import type { Operator } from '../authorization/operator-rights.js';
import type { OfferedPipe } from '../bus/bus.js';
import type { AnyGuest, Guest, Guests, RemoteGuest } from '../guest.js';
import type { CollectedLog } from '../store/log-storage.js';
import type { Revocation } from '../http/revocation.js';

export const operatorLimits: OperatorLimits = {
  connections: 64,
  connectionsToGuest: 16,
  readers: 8,
  calls: 128,
  callsToGuest: 896,
  callBytes: 16 * 1024 * 1024,
  unreadBytes: 32 * 1024 * 1024,
  openMs: 20_000,
  stallMs: 30_000,
  bodyBytes: 16_384,
};

/**
 * Returns the operator that the certificate of a connection belongs to, by the authorization file as it is now; undefined
 * if no entry names it.
 */
export type OperatorSource = () => Operator | undefined;

/** A guest as the store knows it: also one that is no longer connected. */
export type StoredGuest = Pick<AnyGuest, 'id' | 'name'>;

/** An operator that is connected to another replica. Its certificate is verified. */
export interface RemoteOperator {
  readonly source: OperatorSource;
  readonly certificates: readonly Buffer[];
  /** When the certificate expires, in ms of the epoch. */
  readonly notAfter: number;
}

/** A request of an operator that has come to another replica. */
export interface RemoteUse extends RemoteOperator {
  readonly guest: Guest;
}

/** The audit logs of guests. */
export interface GuestLogs {
  /** Undefined if the guest has no log here, and its listener does not serve WatchAudit. */
  stateOf(guestId: string): CollectedLog | undefined;
  /** Finds a guest that is not connected, by the rules of `Guests.find`; of one name, the last that was connected. */
  find(name: string): Promise<StoredGuest | undefined>;
  /**
   * Reads records without their line feeds, in groups as they are read.
   *
   * @param from the sequence number of the first record; undefined: the first that is stored.
   * @param follow continues with records that are stored later, until the signal aborts.
   */
  readLog(
    guestId: string,
    from: number | undefined,
    follow: boolean,
    signal: AbortSignal,
  ): AsyncIterable<readonly Uint8Array[]>;
}

/** What the realm has decided about a request of an operator. */
export interface Decision {
  readonly operator: string;
  readonly verb: OperatorVerb;
  /** Absent: a guest that does not exist, or the list of all. */
  readonly guest?: StoredGuest;
  /** A call, where the relay is trusted. */
  readonly method?: string;
  readonly allowed: boolean;
  readonly reason: string;
}

/** Where decisions are recorded. It bounds how much a flood of them writes. */
export interface OperatorDecisions {
  record(decision: Decision): void;
}

/** What a realm provides for the requests of its operators. */
export interface OperatorContext {
  readonly guests: Guests;
  readonly logs: GuestLogs;
  readonly decisions: OperatorDecisions;
  readonly limits: OperatorLimits;
  /** Makes a guest dial once more, for one operator. Rejects if it does not in time. */
  readonly openConnection: (guest: Guest, certificates: readonly Buffer[]) => Promise<Duplex>;
  /** The same for an operator of another replica; undefined: a third replica has joined the connection to the pipe. */
  readonly openConnectionFor: (
    guest: Guest,
    certificates: readonly Buffer[],
    pipe: OfferedPipe,
  ) => Promise<Duplex | undefined>;
  /** Guests of other replicas. */
  readonly remote: {
    connect(guest: RemoteGuest, certificates: readonly Buffer[], timeoutMs: number): Promise<Duplex>;
    revoke(
      guest: RemoteGuest,
      certificates: readonly Buffer[],
      revocation: Revocation,
    ): Promise<{ readonly closed: number }>;
  };
  /**
   * Revokes in the guest and the others of its entry, now and after each new connection. Returns how many connections the
   * guest has closed. Rejects with TooManyRevocations, or a TtrpcError of the guest: then nothing is stored.
   */
  readonly revoke: (
    guest: StoredGuest,
    revocation: Revocation,
    operator: Pick<Operator, 'name'>,
  ) => Promise<{ readonly closed: number }>;
  /** Reports whether a revocation names the realm itself. */
  readonly isOwn: (revocation: Revocation) => boolean;
  /** For the log: an error that is not the operator's. */
  readonly report: (message: string, error: unknown) => void;
}

/** Limits on what one operator can use. All are enforced. */
export interface OperatorLimits {
  /** Connections to guests of one operator, with those that are being opened. */
  readonly connections: number;
  /**
   * Of these, to one guest. A guest has 64 unless its configuration says otherwise: one operator must not keep out the others.
   */
  readonly connectionsToGuest: number;
  /** Audit logs that one operator reads at a time. */
  readonly readers: number;
  /** Calls of one operator in a guest that have not ended, where the relay is trusted; the same in each connection. */
  readonly calls: number;
  /** The same of all operators together: the guest takes 1,024 in the realm's connection, and the realm makes calls of its own. */
  readonly callsToGuest: number;
  /** Bytes of the requests of these calls, in one guest: it may read none of them. */
  readonly callBytes: number;
  /** Bytes of replies that one operator has not read, where the relay is trusted. */
  readonly unreadBytes: number;
  /** Time to open a connection to a guest, in ms. */
  readonly openMs: number;
  /** Time without progress after which the reader of an audit log is dropped, in ms. */
  readonly stallMs: number;
  /** The body of a request, in bytes. */
  readonly bodyBytes: number;
}
