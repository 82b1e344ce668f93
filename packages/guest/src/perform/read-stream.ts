import type { ReadStream } from '../actions.js';
import type { Guest } from '../guest.js';

/** At least one byte and at most `length`; waits when there is none; empty: end of file. */
export async function readStream(
  guest: Guest,
  { stream, length, ...ref }: ReadStream,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return guest.process(ref).streams.read(stream, length, signal);
}
