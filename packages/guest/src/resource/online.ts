import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { readIfThere } from '../read-if-there.js';
import { parseCpuList } from './cpu-list.js';

/** How long a CPU that was plugged may take to appear, and how often is looked for it. */
const waitMs = 5_000;
const pollMs = 50;

/** What OnlineCPUMem asks for. */
export interface OnlineRequest {
  /** So many CPUs shall be online in all; 0: whatever is there. */
  readonly cpus: number;
  readonly cpuOnly: boolean;
}

/** Brings plugged CPUs and memory blocks into use. `sys`: `/sys`. Throws `exhausted` when CPUs cannot come or do not in time. */
export async function bringOnline(
  { cpus, cpuOnly }: OnlineRequest,
  sys: string,
  timing: { readonly waitMs: number; readonly pollMs: number } = { waitMs, pollMs },
): Promise<void> {
  refuseMoreThanPossible(cpus, sys);
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
        `${cpus} CPUs were asked for, and ${now} are online after ${timing.waitMs / 1000} seconds`,
      );
    }
    await delay(timing.pollMs);
  }
  if (!cpuOnly) bringMemoryOnline(sys);
}

/** Brings all blocks of memory into use that are there. `sys`: `/sys`. */
export function bringMemoryOnline(sys: string): void {
  online(join(sys, 'devices/system/memory'), /^memory\d+$/, Infinity);
}

/** What this kernel can never have is not waited for: calls that change something would wait behind it. */
function refuseMoreThanPossible(cpus: number, sys: string): void {
  const file = join(sys, 'devices/system/cpu/possible');
  const text = readIfThere(file);
  const possible = text === undefined ? Infinity : parseCpuList(text).length;
  if (cpus > possible)
    throw new GuestError('exhausted', `${cpus} CPUs were asked for, and ${file} says ${possible}`);
}

/** The numbers of the CPUs in use. */
export function onlineCpus(sys: string): readonly number[] {
  return parseCpuList(readFileSync(join(sys, 'devices/system/cpu/online'), 'utf8'));
}

/** Switches on at most `most` of the devices that are off. A device that refuses is left: another may do. */
function online(directory: string, name: RegExp, most: number): void {
  if (!existsSync(directory)) return;
  let left = most;
  for (const entry of readdirSync(directory).filter((entry) => name.test(entry))) {
    if (left <= 0) return;
    if (switchOn(join(directory, entry, 'online'))) left -= 1;
  }
}

/** Whether the device was off and is on now; `file` is its switch. The first CPU of some machines has none. */
export function switchOn(file: string): boolean {
  try {
    if (readFileSync(file, 'utf8').trim() !== '0') return false;
    writeFileSync(file, '1');
    return true;
  } catch (error) {
    // ENOENT: no switch. The others are the kernel's refusals of a device that is on its way out or not fit for use.
    if (hasCode(error, 'ENOENT', 'EBUSY', 'EINVAL', 'EIO', 'ENODEV', 'EPERM', 'EACCES')) return false;
    throw error;
  }
}
