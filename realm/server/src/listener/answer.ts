import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** How long a client that is refused may take to read the answer. */
const patienceMs = 2_000;

/** Refuses an Upgrade with a status, and closes the connection. */
export function refuseUpgrade(socket: Duplex, status: number): void {
  socket.on('error', () => undefined);
  const reason = STATUS_CODES[status] ?? '';
  const head = `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.end(head, () => socket.destroy());
  setTimeout(() => socket.destroy(), patienceMs).unref();
}

/** Accepts an Upgrade. What has arrived with the request remains to be read. */
export function acceptUpgrade(socket: Duplex, protocol: string, head: Uint8Array): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\n\r\n`,
    'latin1',
  );
  if (head.length > 0) socket.unshift(head);
}
