import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:http';
import type { ServerOptions as HttpsOptions } from 'node:https';
import type { TlsOptions } from 'node:tls';
import type { OperatorCa } from './operator-chain.js';

/** A key and its certificates, as PEM. */
export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

/** The only protocol that a realm speaks in TLS. */
const alpnProtocol = 'http/1.1';

/** Options of TLS that both listeners of a realm have. No option is left to a default that a build of Node.js changes. */
function tlsOptions(identity: ServerIdentity, pendingMs: number): TlsOptions {
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
  };
}

/** Options of TLS for guests, whose certificates are believed by their keys alone. */
export function guestTlsOptions(identity: ServerIdentity, pendingMs: number): TlsOptions {
  return { ...tlsOptions(identity, pendingMs), rejectUnauthorized: false };
}

/** Options of TLS for operators. */
export function operatorTlsOptions(
  identity: ServerIdentity,
  { ca, crl }: Pick<OperatorCa, 'ca' | 'crl'>,
  pendingMs: number,
): TlsOptions {
  return {
    ...tlsOptions(identity, pendingMs),
    rejectUnauthorized: true,
    ca: [...ca],
    ...(crl.length === 0 ? {} : { crl: [...crl] }),
  };
}

/** Options of HTTP that both listeners of a realm have. */
export function httpOptions(pendingMs: number): ServerOptions {
  return {
    maxHeaderSize: 8_192,
    headersTimeout: pendingMs,
    requestTimeout: pendingMs,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
    noDelay: true,
  };
}

/** Options of HTTP for operators. An operator that has ended its requests still gets the replies of the guest. */
export function operatorHttpOptions(pendingMs: number): ServerOptions {
  return { ...httpOptions(pendingMs), keepAliveTimeout: 5_000 };
}

/** Options of a server of Node.js that serves operators as a realm does, beside its bounds. Without `allowHalfOpen`: see TlsAcceptor. */
export function operatorHttpsOptions(
  identity: ServerIdentity,
  operatorCa: Pick<OperatorCa, 'ca' | 'crl'>,
  pendingMs: number,
): HttpsOptions {
  return {
    ...operatorTlsOptions(identity, operatorCa, pendingMs),
    ...operatorHttpOptions(pendingMs),
  };
}
