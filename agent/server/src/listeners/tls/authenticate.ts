import {
  type Certificate,
  grantsPeer,
  Oid,
  type PeerEntry,
  readCertificate,
  svidFault,
} from '@kata-agent/x509';

/** Why a TLS connection of a caller was closed before it was served. */
export type TlsRefusalReason =
  /** Too many others wait for a handshake. */
  | 'overload'
  /** No handshake within handshake_timeout, or too slow while others wait. */
  | 'timeout'
  /** A handshake of the same group of addresses was refused, and has cost too much. */
  | 'penalty'
  /** More bytes than a handshake needs. */
  | 'oversized'
  | 'plain-text'
  | 'tls-version'
  | 'alpn'
  | 'resumed'
  | 'no-certificate'
  | 'untrusted'
  | 'expired'
  | 'not-yet-valid'
  | 'revoked'
  /** The CRL does not apply: it has expired, or the CA of the certificate has none. */
  | 'crl'
  /** clientAuth is not among its usages. */
  | 'usage'
  /** The certificate is not valid DER, or has ambiguous names. */
  | 'malformed'
  | 'peers'
  /** The client closed the connection. */
  | 'closed'
  /** Another error of TLS. */
  | 'handshake';

const texts: Readonly<Record<TlsRefusalReason, string>> = {
  overload: 'too many connections wait for a handshake',
  timeout: 'the handshake took too long',
  penalty: 'verifying a refused client of this address took too long, less than a minute ago',
  oversized: 'the client sent more than 10 KiB before it was authenticated',
  'plain-text': 'the client does not use TLS',
  'tls-version': 'the client does not offer TLS 1.3',
  alpn: 'the client does not offer the protocol of this listener (ALPN)',
  resumed: 'the client resumed a session',
  'no-certificate': 'the client sent no certificate',
  untrusted: "no CA of client_ca has signed the client's certificate",
  expired: "the client's certificate has expired",
  'not-yet-valid': "the client's certificate is not yet valid",
  revoked: "the client's certificate is revoked",
  crl: 'client_crl has no current list for each CA',
  usage: "clientAuth is not among the usages of the client's certificate",
  malformed: "the client's certificate is not valid",
  peers: "the client's certificate is not in peers",
  closed: 'the client closed the connection during the handshake',
  handshake: 'the handshake failed',
};

/** Results of OpenSSL's verification of a certificate (X509_V_ERR_…, without its prefix). */
const verifyReasons: Readonly<Record<string, TlsRefusalReason>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  CERT_REVOKED: 'revoked',
  UNABLE_TO_GET_CRL: 'crl',
  UNABLE_TO_GET_CRL_ISSUER: 'crl',
  CRL_HAS_EXPIRED: 'crl',
  CRL_NOT_YET_VALID: 'crl',
  CRL_SIGNATURE_FAILURE: 'crl',
  INVALID_PURPOSE: 'usage',
};

const errorReasons: Readonly<Record<string, TlsRefusalReason>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ERR_SSL_HTTP_REQUEST: 'plain-text',
  ERR_SSL_HTTPS_PROXY_REQUEST: 'plain-text',
  ERR_SSL_WRONG_VERSION_NUMBER: 'plain-text',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'plain-text',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'tls-version',
  ERR_SSL_VERSION_TOO_LOW: 'tls-version',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'alpn',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no-certificate',
  ECONNRESET: 'closed',
};

/** The ALPN protocol of ttRPC over TLS. Demanded, so that the bytes of another protocol are never taken for ttRPC. */
export const alpnProtocol = 'kata-agent-ttrpc';

/** The result of a handshake that OpenSSL accepted. */
export interface Handshake {
  readonly alpnProtocol: string | false | null;
  readonly resumed: boolean;
  /** The client's certificate in DER. */
  readonly certificate: Uint8Array | undefined;
}

export interface Expected {
  /** The `peers` of each document that has them: a client must match all lists. */
  readonly peers: readonly (readonly PeerEntry[])[];
  readonly isRevoked: (certificate: Certificate) => boolean;
  /** Wall time, in milliseconds of the epoch. */
  readonly now: number;
}

export type Authentication =
  | { readonly certificate: Certificate; readonly refused?: undefined }
  | { readonly certificate?: Certificate; readonly refused: RefusalCause };

/** Decides about a client after OpenSSL has verified the chain of its certificate. */
export function authenticate(handshake: Handshake, expected: Expected): Authentication {
  // Node.js accepts a client that offers no protocol.
  if (handshake.alpnProtocol !== alpnProtocol) return { refused: refusalCause('alpn') };
  // OpenSSL verifies nothing in a resumed session: it would have the identity of an earlier one.
  if (handshake.resumed) return { refused: refusalCause('resumed') };
  if (handshake.certificate === undefined) return { refused: refusalCause('no-certificate') };
  const certificate = readCertificate(handshake.certificate);
  if (typeof certificate === 'string') return { refused: refusalCause('malformed', certificate) };
  const refused = causeOf(certificate, expected);
  return refused === undefined ? { certificate } : { certificate, refused };
}

function causeOf(certificate: Certificate, { peers, isRevoked, now }: Expected): RefusalCause | undefined {
  const { notBefore, notAfter, extendedKeyUsage } = certificate;
  if (now < notBefore) return refusalCause('not-yet-valid');
  if (now >= notAfter) return refusalCause('expired');
  // OpenSSL accepts a certificate without this extension for any usage.
  if (extendedKeyUsage?.includes(Oid.ClientAuth) !== true) return refusalCause('usage');
  const fault = svidFault(certificate);
  if (fault !== undefined) return refusalCause('malformed', fault);
  if (isRevoked(certificate)) return refusalCause('revoked', 'by RevokePeer');
  // Without a list no peer is accepted; every() of no lists would accept each.
  const granted =
    peers.length > 0 && peers.every((list) => list.some((entry) => grantsPeer(entry, certificate)));
  return granted ? undefined : refusalCause('peers');
}

/** A refusal, for the audit log and the agent log. */
export interface TlsRefusal {
  readonly reason: TlsRefusalReason;
  /** One sentence, without text that the client chose freely except names from its certificate. */
  readonly text: string;
  /** The group of the connection, such as that of the remote address: so that records of a flood from many ports can be folded. */
  readonly remote: string;
  /** The subject and fingerprint of a certificate of the CA; undefined where the client is unknown. */
  readonly peer?: { readonly subject: string; readonly fingerprint: string };
}

/** A reason with its text. */
export type RefusalCause = Pick<TlsRefusal, 'reason' | 'text'>;

export function refusalCause(reason: TlsRefusalReason, detail?: string): RefusalCause {
  return { reason, text: detail === undefined ? texts[reason] : `${texts[reason]}: ${detail}` };
}

/**
 * Translates why Node.js ended a handshake. `authorizationError` is the result of verification. Where that has an error,
 * it is the reason: Node.js reports the connection, which it closes for that, as reset.
 */
export function handshakeCause(error: NodeJS.ErrnoException, authorizationError: unknown): RefusalCause {
  if (typeof authorizationError === 'string') {
    const reason = verifyReasons[authorizationError] ?? 'untrusted';
    return refusalCause(reason, authorizationError);
  }
  const reason = errorReasons[error.code ?? ''] ?? 'handshake';
  return reason === 'handshake' ? refusalCause(reason, error.code ?? 'unknown error') : refusalCause(reason);
}
