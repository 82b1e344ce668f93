import { type Commitment, hasCode, NetlinkError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** A change of the network. */
interface Change {
  readonly make: () => void;
  readonly restore: () => void;
  /** Throw if the call has been given up: nobody learns of its change, so that it must not stay. */
  readonly call: Commitment;
}

/**
 * Makes a change of the network; if it fails half-way, restores the previous state (S30).
 *
 * @throws what `make` and `call` throw; `internal` with both messages if not all could be restored.
 */
export function orRestore({ make, restore, call }: Change): void {
  call.commit();
  try {
    make();
    call.finish();
  } catch (error) {
    try {
      restore();
    } catch (second) {
      const message = `${text(error)}; the previous state could not be restored: ${text(second)}`;
      throw new GuestError('internal', message, { cause: error });
    }
    throw error;
  }
}

/** Runs all steps, also after one that fails, and then throws an Error with all messages. */
export function runAll(steps: readonly (() => void)[]): void {
  const failed: string[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failed.push(text(error));
    }
  }
  if (failed.length > 0) throw new Error(failed.join('; '));
}

/** Makes a change unless the kernel refuses it with one of these codes: the state is then what it should be. */
export function unlessRefused(codes: readonly string[], change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof NetlinkError && hasCode(error, ...codes))) throw error;
  }
}

/** Makes a change that the kernel may refuse, for whatever reason. */
export function whereAccepted(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
