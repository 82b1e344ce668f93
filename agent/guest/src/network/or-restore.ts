import { GuestError } from '../error/guest-error.js';

/**
 * Makes a change of the network; if it fails half-way, restores the previous state (S30).
 *
 * @throws what `change` throws; `internal` with both messages if not all could be restored.
 */
export async function orRestore(change: () => Promise<void>, restore: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    try {
      await restore();
    } catch (second) {
      const message = `${text(error)}; the previous state could not be restored: ${text(second)}`;
      throw new GuestError('internal', message, { cause: error });
    }
    throw error;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
