import type { Guest } from '../guest.js';
import { reseedRandom as reseed } from '../resource/reseed-random.js';
import { translated } from '../translate-error.js';

export function reseedRandom({ context }: Guest, data: Uint8Array): Promise<void> {
  return translated(async () => reseed(data, context.syscalls));
}
