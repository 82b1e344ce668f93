import { resolveBlock } from '../device/resolve-device.js';
import type { Guest } from '../guest.js';

/** Swaps to the disk at a PCI path: its slots, from the root bus on. */
export function addSwap(guest: Guest, slots: readonly number[]): Promise<void> {
  const { devices, paths, swap } = guest.context;
  const address = slots.map((slot) => slot.toString(16).padStart(2, '0')).join('/');
  return guest.change(async () =>
    swap.add(await resolveBlock('blk', address, { watch: devices, sys: paths.sys })),
  );
}
