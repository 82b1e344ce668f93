import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:https';

/** Limits on what one operator can use. All are enforced. */
export interface OperatorLimits {
  /** Connections to guests of one operator, with those that are being opened. */
  readonly connections: number;
  /** Audit logs that one operator reads at a time. */
  readonly readers: number;
  /** Calls of one operator in a guest that have not ended, where the relay is trusted; the same in each connection. */
  readonly calls: number;
  /** Time to open a connection to a guest, in ms. */
  readonly openMs: number;
  /** Time without progress after which the reader of an audit log is dropped, in ms. */
  readonly stallMs: number;
  /** The body of a request, in bytes. */
  readonly bodyBytes: number;
}

export const operatorLimits: OperatorLimits = {
  connections: 64,
  readers: 8,
  calls: 128,
  openMs: 20_000,
  stallMs: 30_000,
  bodyBytes: 16_384,
};

/**
 * Options of the HTTPS server for operators, beside certificates and CAs: what a client can use before it is known what it asks for.
 * A handshake is complete within 10 s, and so is a request. The server must not end its side when a client ends the other: streams of guests can
 * still come. `tlsClientError` must destroy its socket: `handshakeTimeout` alone does not.
 */
export const operatorServerOptions: Pick<
  ServerOptions,
  | 'maxHeaderSize'
  | 'headersTimeout'
  | 'requestTimeout'
  | 'connectionsCheckingInterval'
  | 'keepAliveTimeout'
  | 'insecureHTTPParser'
  | 'requireHostHeader'
  | 'handshakeTimeout'
  | 'secureOptions'
> & { readonly allowHalfOpen: true } = {
  maxHeaderSize: 8_192,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
  insecureHTTPParser: false,
  requireHostHeader: true,
  handshakeTimeout: 10_000,
  // In a resumed session OpenSSL verifies no certificate.
  secureOptions: constants.SSL_OP_NO_TICKET,
  allowHalfOpen: true,
};
