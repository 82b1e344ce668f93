import type { Guest } from '../guest.js';

/** Swaps to a disk by its node in /dev. */
export function addSwapPath(guest: Guest, path: string): Promise<void> {
  return guest.change(async () => guest.context.swap.add(path));
}
