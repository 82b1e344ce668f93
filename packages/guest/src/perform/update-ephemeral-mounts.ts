import type { Storage } from '../actions.js';
import type { Guest } from '../guest.js';

/** Gives memory file systems other sizes. All are looked up before the first is changed. */
export function updateEphemeralMounts(guest: Guest, storages: readonly Storage[]): Promise<void> {
  return guest.change(async () => guest.context.storages.resizeMemory(storages));
}
