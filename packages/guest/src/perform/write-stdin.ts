import type { WriteStdin } from '../actions.js';
import type { Guest } from '../guest.js';

/** Resolves with the number of bytes, once the pipe or terminal has taken them all. No bytes: closes stdin. */
export async function writeStdin(guest: Guest, { data, ...ref }: WriteStdin): Promise<number> {
  const { streams } = guest.process(ref);
  if (data.length > 0) return streams.write(data);
  streams.closeInput();
  return 0;
}
