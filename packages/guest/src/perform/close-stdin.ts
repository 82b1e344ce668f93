import type { ProcessRef } from '../actions.js';
import type { Guest } from '../guest.js';

export async function closeStdin(guest: Guest, ref: ProcessRef): Promise<void> {
  guest.process(ref);
  await guest.begin();
  guest.process(ref).streams.closeInput();
}
