import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { keepAliveMs } from '@kata-agent/connection-limits';

/** Bytes that were passed on. */
export interface SplicedBytes {
  toGuest: number;
  toOperator: number;
}

/**
 * Passes bytes between two streams, at the pace of the slower one. The end of one direction is passed on, while the other
 * continues; a stream that closes before both ends destroys the other. Resolves when both are closed.
 */
export async function splice(operator: Duplex, guest: Duplex, bytes: SplicedBytes): Promise<void> {
  for (const stream of [operator, guest]) keepAlive(stream);
  const closed = [closeWith(operator, guest), closeWith(guest, operator)];
  // Two pipelines would add a dozen listeners to each stream.
  operator.pipe(guest);
  guest.pipe(operator);
  operator.on('data', (chunk: Buffer) => {
    bytes.toGuest += chunk.length;
  });
  guest.on('data', (chunk: Buffer) => {
    bytes.toOperator += chunk.length;
  });
  await Promise.all(closed);
}

/** Resolves when the stream is closed. Destroys the other one, unless both directions have ended: their ends are passed on. */
function closeWith(stream: Duplex, other: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const onClose = (): void => {
      if (!stream.readableEnded || !stream.writableFinished) other.destroy();
      resolve();
    };
    if (stream.closed) onClose();
    else stream.once('close', onClose);
  });
}

/** Makes TCP notice an operator or a guest that is gone, where a stream is one of TCP. */
export function keepAlive(stream: Duplex): void {
  const socket = stream as Partial<Socket>;
  socket.setKeepAlive?.(true, keepAliveMs);
  socket.setNoDelay?.(true);
}
