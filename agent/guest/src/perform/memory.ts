import { followCpus } from '../cgroup/cgroup-limits.js';
import { wantedBlock } from '../device/requested-devices.js';
import type { Guest } from '../guest.js';
import { bringOnline, onlineCpus, type OnlineRequest, probeMemory as probe } from '../resource/online.js';

/**
 * Onlines plugged CPUs and memory, and extends the containers' cpusets. From then on, memory that is plugged later is
 * onlined too.
 */
export function onlineCpuMem(guest: Guest, request: OnlineRequest): Promise<void> {
  const { media, paths, memory } = guest.context;
  return guest.change(async () => {
    // Started before the scan, so that no block is missed between the two.
    if (!request.cpuOnly) memory.start();
    await bringOnline(request, { media, sys: paths.sys });
    if (request.cpus > 0) followCpus([...guest.containers.values()], onlineCpus(paths.sys), paths.cgroup);
  });
}

export function probeMemory(guest: Guest, addresses: readonly bigint[]): Promise<void> {
  return guest.change(async () => probe(addresses, guest.context.paths.sys));
}

/** Enables swap on the disk at a PCI path: its slots, from the root bus on. */
export function addSwap(guest: Guest, slots: readonly number[]): Promise<void> {
  const { devices, swap } = guest.context;
  const address = slots.map((slot) => slot.toString(16).padStart(2, '0')).join('/');
  return guest.changeWith({
    needs: () => [wantedBlock('blk', address)],
    task: async () => swap.add(devices.find(wantedBlock('blk', address))),
  });
}

/** Enables swap on a disk by its node in /dev. */
export function addSwapPath(guest: Guest, path: string): Promise<void> {
  return guest.change(async () => guest.context.swap.add(path));
}
