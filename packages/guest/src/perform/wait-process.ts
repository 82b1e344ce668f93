import type { ProcessRef } from '../actions.js';
import type { Guest } from '../guest.js';

/** The exit code (128 + n for a signal n), now or when it ends. Rejects with the signal's reason when aborted. */
export async function waitProcess(guest: Guest, ref: ProcessRef, signal: AbortSignal): Promise<number> {
  return guest.process(ref).wait(signal);
}
