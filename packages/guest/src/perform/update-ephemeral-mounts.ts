import type { Storage } from '../actions.js';
import type { Guest } from '../guest.js';
import { cleanStorages } from '../storage/clean-storages.js';

/** Gives memory file systems other sizes. All are looked up before the first is changed. */
export async function updateEphemeralMounts(guest: Guest, requested: readonly Storage[]): Promise<void> {
  const storages = cleanStorages(requested);
  return guest.change(async () => guest.context.storages.resizeMemory(storages));
}
