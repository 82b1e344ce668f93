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
