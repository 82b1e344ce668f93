import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Operator, Verb } from '../authorization/operator.js';
import type { Guest, Guests } from '../guests/guest.js';
import type { LogState } from '../store/collected-log.js';
import type { RevokedPeer } from '../store/revocations.js';

/** A guest as the store knows it: also one that is no longer connected. */
export type KnownGuest = Pick<Guest, 'id' | 'name'>;

/** A decision about a request of an operator. */
export interface OperatorDecision {
  readonly operator: string;
  readonly verb: Verb;
  /** Absent: a guest that does not exist, or the list of all. */
  readonly guest?: KnownGuest;
  /** A call, where the relay is trusted. */
  readonly method?: string;
  readonly allowed: boolean;
  readonly reason: string;
}

/** What a realm provides for the requests of its operators. */
export interface RealmBackend {
  readonly guests: Guests;
  readonly logs: {
    /** Undefined: the guest has no log here, and its listener does not serve WatchAudit. */
    stateOf(
      guestId: string,
    ): { readonly state: LogState; readonly last: number; readonly records: number } | undefined;
    /** Finds a guest that is not connected, by the rules of `Guests.find`; of one name, the last that was connected. */
    find(name: string): KnownGuest | undefined;
    /** Yields stored lines without newlines, in groups; with `follow` also those to come, until the signal aborts. */
    readLog(
      guestId: string,
      from: number | undefined,
      follow: boolean,
      signal: AbortSignal,
    ): AsyncIterable<readonly Uint8Array[]>;
  };
  readonly decisions: { record(decision: OperatorDecision): void };
  /** Makes a guest dial once more, for one operator. Rejects if it does not in time. */
  openConnection(guest: Guest): Promise<Duplex>;
  /**
   * Revokes in the guest and the others of its entry, now and after each new connection. Returns how many connections the
   * guest has closed. Rejects with a TtrpcError of the guest: then nothing is stored.
   */
  revoke(guest: KnownGuest, revocation: Partial<RevokedPeer>): Promise<{ readonly closed: number }>;
  /** For the log: an error that is not the operator's. */
  report(message: string, error: unknown): void;
}

/** Who serves the requests of operators. The methods never reject. */
export interface OperatorsService {
  /** `source` returns the operator by the authorization file as it is now; undefined if no entry names it. */
  request(
    request: IncomingMessage,
    response: ServerResponse,
    source: () => Operator | undefined,
  ): Promise<void>;
  /** `head` has bytes that followed the request. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    source: () => Operator | undefined,
  ): Promise<void>;
  /** Closes what operators may no longer do: for a changed authorization file. */
  recheck(): void;
  /** Closes everything. */
  close(): void;
  /** What is open, and what was passed on since the start. */
  readonly counts: {
    readonly operatorTls: number;
    readonly trusted: number;
    readonly readers: number;
    readonly bytes: { readonly toGuest: number; readonly toOperator: number };
  };
}
