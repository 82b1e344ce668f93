import type { ProcessRef } from '../actions.js';
import type { Guest } from '../guest.js';

/**
 * The exit code (128 + n for a signal n), now or when it ends. Rejects with the signal's reason when aborted. Output that
 * passes over connections has been handed over by then: who asks for the code looks for no more output.
 */
export async function waitProcess(guest: Guest, ref: ProcessRef, signal: AbortSignal): Promise<number> {
  const process = guest.process(ref);
  const code = await process.wait(signal);
  await process.streams.passing?.delivered;
  return code;
}
