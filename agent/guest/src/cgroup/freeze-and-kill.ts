import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, SIGKILL, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type CgroupPaths, writeCgroupFile } from './cgroup-paths.js';

/** Limit the wait for a freeze to 200 ms. After that the kill continues unfrozen: its repeated passes find new processes. */
const FREEZE_TRIES = 40;

const FREEZE_WAIT_MS = 5;

/**
 * Kills every process of a container, also of a paused one. Freezes the cgroup first, so that no process can fork and no pid
 * can be reused meanwhile. On v2, `cgroup.kill` (Linux 5.14) does all of this. A cgroup that is gone is not an error.
 */
export async function killAll(paths: CgroupPaths, syscalls: Syscalls): Promise<void> {
  const directory = directoryOf(paths);
  if (processes(directory).includes(process.pid)) {
    throw new GuestError(
      'internal',
      `no process is killed: the agent itself is in the container's cgroup ${directory}`,
    );
  }
  if (paths.version === 2 && existsSync(join(paths.directory, 'cgroup.kill'))) {
    if (writeCgroupFile(join(paths.directory, 'cgroup.kill'), '1'))
      writeCgroupFile(join(paths.directory, 'cgroup.freeze'), '0');
    return;
  }
  const freezer = freezerOf(paths);
  try {
    if (freezer !== undefined && writeCgroupFile(freezer.file, freezer.freeze)) await waitForFreeze(freezer);
    const killed = new Set<number>();
    for (let fresh = processes(directory); fresh.length > 0; ) {
      for (const pid of fresh) {
        kill(syscalls, pid);
        killed.add(pid);
      }
      fresh = processes(directory).filter((pid) => !killed.has(pid));
    }
  } finally {
    if (freezer !== undefined) writeCgroupFile(freezer.file, freezer.thaw);
  }
}

/** Returns the pids of a container's processes, also in cgroups that it created. Empty: its cgroup is gone. */
export function processesOf(paths: CgroupPaths): readonly number[] {
  return processes(directoryOf(paths));
}

function directoryOf(paths: CgroupPaths): string {
  return paths.version === 2 ? paths.directory : (paths.controllers.get('freezer') ?? anyController(paths));
}

function anyController(paths: CgroupPaths & { readonly version: 1 }): string {
  return paths.controllers.values().next().value ?? '';
}

/** Returns the pids in a cgroup and in those below it, which a container may have created. */
function processes(directory: string): readonly number[] {
  if (directory === '') return [];
  try {
    const own = readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...own, ...below.flatMap((entry) => processes(join(directory, entry.name)))];
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

function kill(syscalls: Syscalls, pid: number): void {
  try {
    // cgroup.procs has 0 for a process outside of our pid namespace, and kill(0) signals our own process group.
    if (pid > 1) syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** The freezer of a cgroup: the file that changes its state, with the texts for both states. */
interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
  readonly isFrozen: () => boolean;
}

/** Returns undefined if the hierarchies have no freezer. */
function freezerOf(paths: CgroupPaths): Freezer | undefined {
  if (paths.version === 2) {
    const file = join(paths.directory, 'cgroup.freeze');
    const events = join(paths.directory, 'cgroup.events');
    return {
      file,
      freeze: '1',
      thaw: '0',
      isFrozen: () => readFileSync(events, 'utf8').includes('frozen 1'),
    };
  }
  const directory = paths.controllers.get('freezer');
  if (directory === undefined) return undefined;
  const file = join(directory, 'freezer.state');
  return {
    file,
    freeze: 'FROZEN',
    thaw: 'THAWED',
    isFrozen: () => readFileSync(file, 'utf8').trim() === 'FROZEN',
  };
}

/** Waits until a cgroup that is being frozen has no running process, but not for long. */
async function waitForFreeze(freezer: Freezer): Promise<void> {
  for (let tries = 0; tries < FREEZE_TRIES && !freezer.isFrozen(); tries += 1) await delay(FREEZE_WAIT_MS);
}

/**
 * Waits until a paused container's cgroup is frozen: crun returns while one of v1 is still FREEZING. Returns if the cgroup is
 * gone; rejects when `signal` is aborted.
 */
export async function untilFrozen(paths: CgroupPaths, signal: AbortSignal): Promise<void> {
  const freezer = freezerOf(paths);
  try {
    while (freezer?.isFrozen() === false) await delay(FREEZE_WAIT_MS, undefined, { signal });
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENODEV')) throw error;
  }
}
