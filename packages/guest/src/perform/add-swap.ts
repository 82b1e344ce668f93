import { wantedBlock } from '../device/wanted-block.js';
import type { Guest } from '../guest.js';

/** Swaps to the disk at a PCI path: its slots, from the root bus on. */
export function addSwap(guest: Guest, slots: readonly number[]): Promise<void> {
  const { devices, swap } = guest.context;
  const address = slots.map((slot) => slot.toString(16).padStart(2, '0')).join('/');
  return guest.changeWith({
    needs: () => [wantedBlock('blk', address)],
    task: async () => swap.add(devices.find(wantedBlock('blk', address))),
  });
}
