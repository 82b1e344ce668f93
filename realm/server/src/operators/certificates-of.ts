import type { Duplex } from 'node:stream';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

const max = 8;

/** Returns the certificate of the other end of a connection, and those that it sent with it, as DER. */
export function certificatesOf(stream: Duplex): readonly Buffer[] {
  const socket = stream as Partial<TLSSocket>;
  const certificates: Buffer[] = [];
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate?.(true);
  while (next?.raw !== undefined && certificates.length < max) {
    certificates.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return certificates;
}
