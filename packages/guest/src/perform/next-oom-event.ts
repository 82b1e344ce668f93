import type { Guest } from '../guest.js';

/** The id of a container whose process was killed for want of memory; waits for the next. */
export function nextOomEvent({ context }: Guest, signal: AbortSignal): Promise<string> {
  return context.oom.next(signal);
}
