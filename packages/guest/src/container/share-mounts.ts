import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { graftMount, parseMountTable } from '@kata-agent/linux';
import type { SharedMount } from '../actions.js';
import { GuestError } from '../guest-error.js';
import type { Container } from './container.js';
import type { GuestContext } from './guest-context.js';

/** A container may still be about to mount what others wait for; Kata's agent gives it ten seconds as well. */
const patienceMs = 10_000;
const pauseMs = 100;

/** A container by what the host calls it: the name that it has in its pod, or its id. */
export type FindContainer = (name: string) => Container | undefined;

/** Where containerd and CRI-O give a container's name (Kata 4.1, src/libs/kata-types/src/annotations). */
const nameAnnotations = ['io.kubernetes.cri.container-name', 'io.kubernetes.cri-o.ContainerName'];

/** What runc itself keeps mounts away from: a program trusts what it reads there. */
const kernelPlaces: ReadonlySet<string> = new Set(['proc', 'sys', 'dev']);

export function containerNamed(containers: Iterable<Container>, name: string): Container | undefined {
  const all = [...containers];
  const byName = (container: Container): boolean =>
    nameAnnotations.some((annotation) => container.annotations[annotation] === name);
  return all.find(byName) ?? all.find(({ id }) => id === name);
}

/**
 * Shows mounts that processes of other containers made, as of a file system in user space, in a container that was made
 * and not started yet. `pid`: its first process. They end with that container's mount namespace.
 */
export async function shareMounts(
  mounts: readonly SharedMount[],
  pid: number,
  find: FindContainer,
  { paths, syscalls }: Pick<GuestContext, 'paths' | 'syscalls'>,
): Promise<void> {
  for (const { name, sourceContainer, sourcePath, destinationPath } of mounts) {
    const named = `shared mount ${JSON.stringify(name)}`;
    if (kernelPlaces.has(topOf(destinationPath)))
      throw new GuestError('refused', `${named}: nothing is mounted over ${JSON.stringify(destinationPath)}`);
    const source = find(sourceContainer);
    if (source === undefined || source.first.ended) {
      throw new GuestError(
        'precondition',
        `${named}: container ${JSON.stringify(sourceContainer)} does not run`,
      );
    }
    const processDirectory = join(paths.proc, String(source.first.pid));
    if (!(await isMounted(join(processDirectory, 'mountinfo'), sourcePath))) {
      const late = `${named}: nothing was mounted at ${JSON.stringify(sourcePath)} of container ${sourceContainer}`;
      throw new GuestError('precondition', `${late} within ${patienceMs / 1000} seconds`);
    }
    graftMount(
      syscalls,
      { namespace: join(processDirectory, 'ns/mnt'), path: sourcePath },
      { namespace: join(paths.proc, `${pid}/ns/mnt`), path: destinationPath },
    );
  }
}

async function isMounted(table: string, path: string): Promise<boolean> {
  for (let waited = 0; waited <= patienceMs; waited += pauseMs) {
    if (waited > 0) await delay(pauseMs);
    if (parseMountTable(readFileSync(table, 'utf8')).some(({ target }) => target === path)) return true;
  }
  return false;
}

/** The first name of a path, which blank steps and `.` are not. */
function topOf(path: string): string {
  return path.split('/').find((name) => name !== '' && name !== '.') ?? '';
}
