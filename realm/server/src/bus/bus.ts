import type { Duplex } from 'node:stream';
import type { GuestDescription, Relay, RemoteGuest } from '../guest.js';
import type { CollectedLog } from '../store/log-storage.js';
import type { Revocation, RevokedPeer } from '../store/revocations.js';
import type { SharedStore } from '../store/store.js';

/** The bus of a realm that is one process: there are no others. */
export const oneProcess: Bus = {
  replica: '',
  counts: undefined,
  ready: true,
  shared: undefined,
  remote: () => [],
  claim: async () => ({
    epoch: 0,
    isValid: true,
    touch: () => undefined,
    release: async () => undefined,
  }),
  connect: async () => none(),
  revoke: async () => none(),
  makePipe: () => none(),
  offerToken: async () => () => undefined,
  findToken: async () => undefined,
  serve: () => undefined,
  stop: () => undefined,
  close: async () => undefined,
};

/** What a replica says of a guest that it holds. */
export interface GuestClaim {
  readonly id: string;
  readonly name: string;
  /** The `[[guest]]` entry that accepts it. */
  readonly entry: string;
  /** How many guests of the entry may be connected, to all replicas together. */
  readonly max: number;
  readonly relay: Relay;
  readonly attested: boolean;
  readonly described: GuestDescription | undefined;
  readonly connectedAt: number;
  /** The state of its log now. */
  readonly log: () => CollectedLog;
  /** Called once, when another replica holds the guest or its name: the connection must end. */
  readonly onLost: (why: string) => void;
}

/** A guest that this replica holds, until it releases it or loses it. */
export interface Lease {
  /** Differs between two holders of one guest, and grows. */
  readonly epoch: number;
  /** Whether no other replica can hold the guest now. False while the bus cannot be reached for longer than the lease lasts. */
  readonly isValid: boolean;
  /** Says the state of the log again. */
  touch(): void;
  release(): Promise<void>;
}

/** A name belongs to another guest, or as many guests of the entry as it may have are connected. */
export class NameTakenError extends Error {}

/** A connection that an operator asks for through another replica. */
export interface RemoteConnect {
  readonly guest: string;
  readonly epoch: number;
  /** DER: the operator's certificate, and those that it sent with it. */
  readonly certificates: readonly Buffer[];
  /** The replica that asks. */
  readonly from: string;
}

/** Why another replica refuses, as it is answered to the operator. */
export interface RemoteRefusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export class RemoteRefusedError extends Error {
  readonly refusal: RemoteRefusal;

  constructor(refusal: RemoteRefusal) {
    super(refusal.message);
    this.name = 'RemoteRefusedError';
    this.refusal = refusal;
  }
}

/** What a replica does for others. */
export interface RemoteHandlers {
  /**
   * Authorizes, and returns what serves: `open` returns this replica's end of the pipe. Throws a RemoteRefusedError, or an
   * Error whose message is not for operators.
   */
  connect(request: RemoteConnect, pipe: OfferedPipe): Promise<void>;
  revoke(request: RemoteConnect, revoked: RevokedPeer): Promise<{ readonly closed: number }>;
  /** Passes bytes between a guest's connection that arrived here, and a pipe to the operator of these certificates. */
  joined(
    guest: { readonly id: string; readonly name: string },
    certificates: readonly Buffer[],
    ends: { readonly pipe: Duplex; readonly stream: Duplex },
  ): void;
  /** Another replica has added a revocation. */
  revoked(revocation: Revocation): void;
}

/** The end of a pipe that the holder of a guest has, before it is opened. */
export interface OfferedPipe {
  readonly id: string;
  open(): Duplex;
  /** Ends the pipe at the other end. */
  abort(why: string): void;
}

/** The waiter for the connection that a guest opens with a token. */
export interface TokenOffer {
  readonly guest: { readonly id: string; readonly name: string };
  readonly certificates: readonly Buffer[];
  /**
   * The pipe that the connection becomes an end of. It is called once, with the guest's ID matching.
   */
  readonly taken: () => { readonly pipe: string } | undefined;
}

/** What a bus counts, for metrics. */
export interface BusCounts {
  readonly isConnected: boolean;
  /** Since the start. */
  readonly reconnects: number;
  /** Requests that wait for an answer of another replica. */
  readonly pending: number;
  /** Ends of pipes that are open here. */
  readonly pipes: number;
  /** Messages and entries that are not of a replica, since the start. */
  readonly malformed: number;
}

/** What the replicas of a realm share. */
export interface Bus {
  /** This process. */
  readonly replica: string;
  /** Undefined: there is no bus. */
  readonly counts: BusCounts | undefined;
  /** Whether the bus can be used, and what is known of the others is fresh. */
  readonly ready: boolean;
  /** Logs and revocations of all replicas; undefined: they are in the store of this process. */
  readonly shared: SharedStore | undefined;
  /** Guests of other replicas. */
  remote(): readonly RemoteGuest[];
  /** Makes this replica the only one that holds the guest. Throws a NameTakenError, or an Error if the bus cannot be used. */
  claim(claim: GuestClaim): Promise<Lease>;
  /** Opens a connection to a guest of another replica. Throws a RemoteRefusedError or an Error. */
  connect(guest: RemoteGuest, certificates: readonly Buffer[], timeoutMs: number): Promise<Duplex>;
  revoke(
    guest: RemoteGuest,
    certificates: readonly Buffer[],
    revoked: RevokedPeer,
  ): Promise<{ readonly closed: number }>;
  /** Makes a pipe whose other end another replica can open. */
  makePipe(): { readonly id: string; readonly stream: Duplex; readonly opened: Promise<void> };
  /**
   * Answers other replicas to which the connection of a token comes. Resolves when they can ask, or when the bus cannot be
   * used, with a function that ends it.
   */
  offerToken(token: string, offer: TokenOffer): Promise<() => void>;
  /** Asks other replicas for the pipe that waits for a guest's connection; undefined if none does. */
  findToken(guest: string, token: string): Promise<((stream: Duplex) => void) | undefined>;
  serve(handlers: RemoteHandlers): void;
  /** Ends what waits for the bus. */
  stop(): void;
  close(): Promise<void>;
}

function none(): never {
  throw new Error('a realm of one process has no other replicas');
}
