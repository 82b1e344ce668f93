import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { CgroupPaths } from './cgroup-paths.js';

const SIGKILL = 9;

/** Freezing takes a moment; after 200 ms of it the kill goes on without, several passes making up for it. */
const FREEZE_TRIES = 40;
const FREEZE_WAIT_MS = 5;

/**
 * Kills every process of a container, also one that is paused. Frozen first, so that none can fork away meanwhile and
 * no pid can be reused under us. On v2 the kernel does it all (`cgroup.kill`, Linux 5.14). A cgroup that is gone has
 * nobody in it.
 */
export async function killAll(paths: CgroupPaths, syscalls: Syscalls): Promise<void> {
  const directory = directoryOf(paths);
  if (processes(directory).includes(process.pid)) {
    throw new GuestError(
      'internal',
      `nobody is killed: the agent itself is in the container's cgroup ${directory}`,
    );
  }
  if (paths.version === 2 && existsSync(join(paths.directory, 'cgroup.kill'))) {
    if (write(join(paths.directory, 'cgroup.kill'), '1')) write(join(paths.directory, 'cgroup.freeze'), '0');
    return;
  }
  const freezer = freezerOf(paths);
  try {
    if (freezer !== undefined && write(freezer.file, freezer.freeze)) await frozen(freezer);
    const killed = new Set<number>();
    for (let fresh = processes(directory); fresh.length > 0; ) {
      for (const pid of fresh) {
        kill(syscalls, pid);
        killed.add(pid);
      }
      fresh = processes(directory).filter((pid) => !killed.has(pid));
    }
  } finally {
    if (freezer !== undefined) write(freezer.file, freezer.thaw);
  }
}

/** The pids of a container's processes, those in cgroups that it made itself too. None when its cgroup is gone. */
export function processesOf(paths: CgroupPaths): readonly number[] {
  return processes(directoryOf(paths));
}

function directoryOf(paths: CgroupPaths): string {
  return paths.version === 2 ? paths.directory : (paths.controllers.get('freezer') ?? anyOf(paths));
}

interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
  readonly isFrozen: () => boolean;
}

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

async function frozen(freezer: Freezer): Promise<void> {
  for (let tries = 0; tries < FREEZE_TRIES && !freezer.isFrozen(); tries += 1) await delay(FREEZE_WAIT_MS);
}

function anyOf(paths: CgroupPaths & { readonly version: 1 }): string {
  return paths.controllers.values().next().value ?? '';
}

/** The pids of a cgroup and of those below it, which a container may have made. */
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

/** False when the cgroup is gone. */
function write(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return false;
    throw error;
  }
}

function kill(syscalls: Syscalls, pid: number): void {
  try {
    // 0 stands for a process of another pid namespace that has no number here; kill(0) would be ourselves.
    if (pid > 1) syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
