import { TaskFailure } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';

/** Returns when a task that failed by its time limit has ended, in the thread that was left to it; undefined: nothing runs any more. */
export function lateEnd(error: unknown): Promise<void> | undefined {
  const failure = error instanceof GuestError ? error.cause : undefined;
  return failure instanceof TaskFailure ? failure.ended : undefined;
}
