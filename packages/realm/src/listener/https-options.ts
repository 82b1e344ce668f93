import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:https';

/** A key and its certificates, as PEM. */
export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

/** The only protocol that a realm speaks in TLS. */
const alpnProtocol = 'http/1.1';

/** Options of HTTPS that both listeners of a realm have. No option is left to a default that a build of Node.js changes. */
export function httpsOptions(identity: ServerIdentity, pendingMs: number): ServerOptions {
  return {
    ...identity,
    requestCert: true,
    minVersion: 'TLSv1.3',
    // Keys of 112 bits and more, also where Node.js is built with less.
    ciphers: 'DEFAULT:@SECLEVEL=2',
    // A ClientHello with a finite-field group, of the default, costs the event loop 100 ms, without a certificate.
    ecdhCurve: 'X25519:P-256:P-384',
    ALPNProtocols: [alpnProtocol],
    // With tickets OpenSSL accepts a client without a certificate, as the one that its ticket names.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: pendingMs,
    maxHeaderSize: 8_192,
    headersTimeout: pendingMs,
    requestTimeout: pendingMs,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
    noDelay: true,
  };
}

/**
 * Options of the HTTPS server for operators, beside their CAs. Without `allowHalfOpen`: a client that closes its connection in
 * the handshake would keep its place until the timeout. Set it in connections of operators that are authenticated: an operator
 * that has ended its requests still gets the replies of the guest.
 */
export function operatorHttpsOptions(identity: ServerIdentity, pendingMs: number): ServerOptions {
  return { ...httpsOptions(identity, pendingMs), rejectUnauthorized: true, keepAliveTimeout: 5_000 };
}
