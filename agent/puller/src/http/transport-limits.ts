/** Bounds on each answer. */
export interface TransportLimits {
  /** For the connection: the proxy, TCP and TLS. */
  readonly connectMs: number;
  /** From the request to the end of the answer's headers. */
  readonly headersMs: number;
  /** The least rate of a body: so many bytes in each window of waiting for the server. Time that we need does not count. */
  readonly windowBytes: number;
  readonly windowMs: number;
}

/** 10 kB/s: slower than any network that pulls an image, and 7 minutes for 4 MiB. */
export const defaultTransportLimits: TransportLimits = {
  connectMs: 30_000,
  headersMs: 60_000,
  windowBytes: 200_000,
  windowMs: 20_000,
};
