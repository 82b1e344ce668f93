import { type Duplex, pipeline } from 'node:stream';
import type { Socket } from 'node:net';

/** Probes of TCP begin after this time without traffic. */
const keepAliveMs = 30_000;

/** Bytes that were passed on. */
export interface SplicedBytes {
  toGuest: number;
  toOperator: number;
}

/**
 * Passes bytes between two streams, at the pace of the slower one. The end of one direction is passed on, while the other
 * goes on; an error of either stream destroys both. Resolves when both are closed.
 */
export async function splice(operator: Duplex, guest: Duplex, bytes: SplicedBytes): Promise<void> {
  const destroy = (): void => {
    operator.destroy();
    guest.destroy();
  };
  for (const stream of [operator, guest]) keepAlive(stream);
  const directions = [
    [operator, guest, 'toGuest'],
    [guest, operator, 'toOperator'],
  ] as const;
  const ends = directions.map(
    ([from, to, direction]) =>
      new Promise<void>((resolve) => {
        pipeline(from, to, (error) => {
          if (error) destroy();
          resolve();
        });
        from.on('data', (chunk: Buffer) => {
          bytes[direction] += chunk.length;
        });
      }),
  );
  await Promise.all(ends);
  destroy();
}

/** Makes TCP notice an operator or a guest that is gone, where a stream is one of TCP. */
export function keepAlive(stream: Duplex): void {
  const socket = stream as Partial<Socket>;
  socket.setKeepAlive?.(true, keepAliveMs);
  socket.setNoDelay?.(true);
}
