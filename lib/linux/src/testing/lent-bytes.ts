import { once } from 'node:events';
import type { LendingStream } from '../fs/lending-reads.js';

/** Returns all bytes that a stream lends until its end. */
export async function lentBytes(stream: LendingStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.lendTo((bytes) => chunks.push(Buffer.from(bytes)));
  stream.resume();
  await once(stream, 'end');
  return Buffer.concat(chunks);
}
