import type { TLSSocket } from 'node:tls';

/** Returns the exporter of a TLS connection (RFC 9266: 32 bytes, an empty context), in hex. */
export function channelBinding(stream: TLSSocket): string {
  return stream.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('hex');
}
