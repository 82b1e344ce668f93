import { GuestError } from '../guest-error.js';

/**
 * Makes a change of the network that may fail half-way; what was there before is put back then (S30).
 *
 * @throws what `change` throws; `internal` with both texts when not all could be put back.
 */
export async function orPutBack(change: () => Promise<void>, putBack: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    try {
      await putBack();
    } catch (second) {
      const message = `${text(error)}; and what was there before could not be put back: ${text(second)}`;
      throw new GuestError('internal', message, { cause: error });
    }
    throw error;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
