import { followCpus } from '../cgroup/follow-cpus.js';
import type { Guest } from '../guest.js';
import { bringOnline, type OnlineRequest, onlineCpus } from '../resource/online.js';

/**
 * Brings plugged CPUs and memory into use; the containers' sets of CPUs follow. From then on, memory that comes later is
 * brought into use as well.
 */
export function onlineCpuMem(guest: Guest, request: OnlineRequest): Promise<void> {
  const { paths, memory } = guest.context;
  return guest.change(async () => {
    // Before the look, so that no block comes between the two.
    if (!request.cpuOnly) memory.start();
    await bringOnline(request, paths.sys);
    if (request.cpus > 0) followCpus([...guest.containers.values()], onlineCpus(paths.sys), paths.cgroup);
  });
}
