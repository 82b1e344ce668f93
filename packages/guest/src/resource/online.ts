import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { readIfThere } from '../device/read-if-there.js';
import { parseCpuList } from './cpu-list.js';

/** How long a plugged CPU may take to come online, and the interval of the checks. */
const waitMs = 5_000;
const pollMs = 50;

/** The request of OnlineCPUMem. */
export interface OnlineRequest {
  /** Total number of CPUs that must be online; 0: all that are present. */
  readonly cpus: number;
  readonly cpuOnly: boolean;
}

/**
 * Brings plugged CPUs and memory blocks online. `sys`: `/sys`.
 *
 * @throws GuestError `exhausted` when the kernel cannot have so many CPUs, or they do not come online in time
 */
export async function bringOnline(
  { cpus, cpuOnly }: OnlineRequest,
  sys: string,
  timing: { readonly waitMs: number; readonly pollMs: number } = { waitMs, pollMs },
): Promise<void> {
  checkPossibleCpus(cpus, sys);
  const start = performance.now();
  for (;;) {
    online(
      join(sys, 'devices/system/cpu'),
      /^cpu\d+$/,
      cpus === 0 ? Infinity : cpus - onlineCpus(sys).length,
    );
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
  if (!cpuOnly) bringMemoryOnline(sys);
}

/** Brings all memory blocks that are present online. `sys`: `/sys`. */
export function bringMemoryOnline(sys: string): void {
  online(join(sys, 'devices/system/memory'), /^memory\d+$/, Infinity);
}

/** Fails at once for more CPUs than the kernel can ever have: a wait would delay all other changes. */
function checkPossibleCpus(cpus: number, sys: string): void {
  const file = join(sys, 'devices/system/cpu/possible');
  const text = readIfThere(file);
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

/** Brings at most `most` offline devices online. Skips a device that cannot: another one may. */
function online(directory: string, name: RegExp, most: number): void {
  if (!existsSync(directory)) return;
  let left = most;
  for (const entry of readdirSync(directory).filter((entry) => name.test(entry))) {
    if (left <= 0) return;
    if (switchOn(join(directory, entry, 'online'))) left -= 1;
  }
}

/** Brings a device online; returns whether it was offline before. `file`: its `online` file, which the first CPU of some machines lacks. */
export function switchOn(file: string): boolean {
  try {
    if (readFileSync(file, 'utf8').trim() !== '0') return false;
    writeFileSync(file, '1');
    return true;
  } catch (error) {
    // ENOENT: no such file. Others: the device is being removed or cannot be used.
    if (hasCode(error, 'ENOENT', 'EBUSY', 'EINVAL', 'EIO', 'ENODEV', 'EPERM', 'EACCES')) return false;
    throw error;
  }
}
