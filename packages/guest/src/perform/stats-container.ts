import { cgroupStats } from '../cgroup/cgroup-stats.js';
import { networkStats } from '../cgroup/network-stats.js';
import type { ContainerStats } from '../container-stats.js';
import type { Guest } from '../guest.js';
import { translated } from '../translate-error.js';

export function statsContainer(guest: Guest, id: string): Promise<ContainerStats> {
  return translated(async () => ({
    ...cgroupStats(guest.container(id).cgroup),
    network: networkStats(guest.context.paths.proc),
  }));
}
