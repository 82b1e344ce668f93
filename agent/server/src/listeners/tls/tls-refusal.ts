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

export function refusalCause(reason: TlsRefusalReason, detail?: string): RefusalCause {
  return { reason, text: detail === undefined ? texts[reason] : `${texts[reason]}: ${detail}` };
}

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
