import type { TLSSocket } from 'node:tls';
import { type Certificate, readCertificate } from '@kata-agent/x509';

/** Returns the certificate of the other end of a connection, or why it is not accepted. Its chain is verified elsewhere. */
export function peerOf(socket: TLSSocket): Certificate | string {
  // OpenSSL verifies nothing in a resumed session: it would have the identity of an earlier one.
  if (socket.isSessionReused()) return 'the client resumed a session';
  if (socket.alpnProtocol !== false && socket.alpnProtocol !== 'http/1.1')
    return 'the client chose another protocol than HTTP/1.1 (ALPN)';
  return certificateOf(socket.getPeerX509Certificate()?.raw);
}

/** Returns a certificate, or why it is not accepted. Its chain is verified elsewhere. */
export function certificateOf(bytes: Uint8Array | undefined): Certificate | string {
  if (bytes === undefined) return 'there is no certificate';
  const certificate = readCertificate(bytes);
  return typeof certificate === 'string' ? `the certificate is not valid: ${certificate}` : certificate;
}
