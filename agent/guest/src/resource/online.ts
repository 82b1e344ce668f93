import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../error/guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { readIfThere } from '@kata-agent/base';
import { parseCpuList } from '../spec/cpu-list.js';

/** How long a plugged CPU may take to come online, and the interval of the checks. */
const waitMs = 5_000;
const pollMs = 50;

/** The request of OnlineCPUMem. */
export interface OnlineRequest {
  /** Total number of CPUs that must be online; 0: all that are present. */
  readonly cpus: number;
  readonly cpuOnly: boolean;
}

interface OnlineContext {
  readonly media: HostMedia;
  /** `/sys`. */
  readonly sys: string;
}

/**
 * Brings plugged CPUs and memory blocks online: in threads, since the host can delay that.
 *
 * @throws GuestError `exhausted` when the kernel cannot have so many CPUs, or they do not come online in time
 */
export async function bringOnline(
  { cpus, cpuOnly }: OnlineRequest,
  { media, sys }: OnlineContext,
  timing: { readonly waitMs: number; readonly pollMs: number } = { waitMs, pollMs },
): Promise<void> {
  checkPossibleCpus(cpus, sys);
  const start = performance.now();
  for (;;) {
    const max = cpus === 0 ? Infinity : cpus - onlineCpus(sys).length;
    await media.run('switchOnAll', { kind: 'cpu', max, sys });
    const now = onlineCpus(sys).length;
    if (cpus === 0 || now >= cpus) break;
    if (performance.now() - start >= timing.waitMs) {
      throw new GuestError(
        'exhausted',
        `${cpus} CPUs were requested, and ${now} are online after ${timing.waitMs / 1000} seconds`,
      );
    }
    await delay(timing.pollMs);
  }
  if (!cpuOnly) await bringMemoryOnline({ media, sys });
}

/** Brings all memory blocks that are present online. */
export function bringMemoryOnline({ media, sys }: OnlineContext): Promise<void> {
  return media.run('switchOnAll', { kind: 'memory', max: Infinity, sys });
}

/** Fails at once for more CPUs than the kernel can ever have: a wait would delay all other changes. */
function checkPossibleCpus(cpus: number, sys: string): void {
  const file = join(sys, 'devices/system/cpu/possible');
  const text = readIfThere(file)?.toString();
  const possible = text === undefined ? Infinity : parseCpuList(text).length;
  if (cpus > possible)
    throw new GuestError(
      'exhausted',
      `${cpus} CPUs were requested, and the kernel can have ${possible} (${file})`,
    );
}

/** Returns the numbers of the online CPUs. */
export function onlineCpus(sys: string): readonly number[] {
  return parseCpuList(readFileSync(join(sys, 'devices/system/cpu/online'), 'utf8'));
}
