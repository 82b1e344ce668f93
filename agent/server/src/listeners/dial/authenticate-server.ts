import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type Certificate, formatPin, readCertificate } from '@kata-agent/x509';
import { DialFailure } from './dial-failure.js';

/** The result of a handshake with a server. */
export interface ServerHandshake {
  /** OpenSSL has verified the chain. */
  readonly authorized: boolean;
  readonly resumed: boolean;
  readonly alpnProtocol: string | false | null;
  /** In DER. */
  readonly certificate: Uint8Array | undefined;
}

interface ExpectedServer {
  readonly host: string;
  /** `spki:sha256:HEX`, of which one must match; none: any key. */
  readonly pins: readonly string[];
  /** Wall time, in milliseconds of the epoch. */
  readonly now: number;
}

/** Returns the certificate of an accepted server. Throws a DialFailure. */
export function authenticateServer(handshake: ServerHandshake, expected: ExpectedServer): Certificate {
  const { host, pins, now } = expected;
  const refused = (text: string, certificate?: Certificate): DialFailure =>
    new DialFailure(text, { refused: true, ...(certificate === undefined ? {} : { certificate }) });
  if (!handshake.authorized || handshake.certificate === undefined)
    throw refused("no CA of server_ca has signed the server's certificate");
  // OpenSSL verifies nothing in a resumed session.
  if (handshake.resumed) throw refused('the server resumed a session');
  if (handshake.alpnProtocol !== false && handshake.alpnProtocol !== 'http/1.1')
    throw refused('the server chose another protocol than HTTP/1.1 (ALPN)');
  const certificate = readCertificate(handshake.certificate);
  if (typeof certificate === 'string') throw refused(`the server's certificate is not valid: ${certificate}`);
  if (!hasName(handshake.certificate, host)) throw refused(`the server's certificate does not name ${host}`);
  if (now < certificate.notBefore) throw refused("the server's certificate is not yet valid", certificate);
  if (now >= certificate.notAfter) throw refused("the server's certificate has expired", certificate);
  if (pins.length > 0 && !pins.includes(formatPin(certificate.spki)))
    throw refused("the server's key is not in pins", certificate);
  return certificate;
}

/** Reports whether a certificate has the name as an alternative name: a common name does not count. */
function hasName(bytes: Uint8Array, host: string): boolean {
  const certificate = new X509Certificate(bytes);
  return isIP(host) === 0
    ? certificate.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined
    : certificate.checkIP(host) !== undefined;
}
