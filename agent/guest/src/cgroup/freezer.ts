import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@kata-agent/linux';
import type { CgroupPaths } from './cgroup-paths.js';

/** Limit the wait for a freeze to 200 ms. After that the kill continues unfrozen: its repeated passes find new processes. */
const FREEZE_TRIES = 40;
const FREEZE_WAIT_MS = 5;

/** The freezer of a cgroup: the file that changes its state, with the texts for both states. */
export interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
  readonly isFrozen: () => boolean;
}

/** Returns undefined if the hierarchies have no freezer. */
export function freezerOf(paths: CgroupPaths): Freezer | undefined {
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
export async function waitForFreeze(freezer: Freezer): Promise<void> {
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
