import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { graftMount, parseMountTable } from '@kata-agent/linux';
import type { SharedMount } from '../actions.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';
import type { Container } from './container.js';
import type { GuestContext } from './guest-context.js';

/** A container may still be about to mount what others wait for; Kata's agent gives it ten seconds as well. */
const patienceSeconds = 10;

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

/** The mounts of other containers that one needs, each found as the `/proc/PID` of a process that has it. */
export function sourceMounts(
  mounts: readonly SharedMount[],
  find: FindContainer,
  { proc }: Pick<GuestPaths, 'proc'>,
): readonly Wanted[] {
  return mounts.map((mount) => sourceMount(mount, find, proc));
}

/**
 * Shows mounts that processes of other containers made, as of a file system in user space, in a container that was made
 * and not started yet. `pid`: its first process. They end with that container's mount namespace.
 */
export function shareMounts(
  mounts: readonly SharedMount[],
  pid: number,
  find: FindContainer,
  { paths, syscalls, devices }: Pick<GuestContext, 'paths' | 'syscalls' | 'devices'>,
): void {
  for (const mount of mounts) {
    const source = devices.find(sourceMount(mount, find, paths.proc));
    graftMount(
      syscalls,
      { namespace: join(source, 'ns/mnt'), path: mount.sourcePath },
      { namespace: join(paths.proc, `${pid}/ns/mnt`), path: mount.destinationPath },
    );
  }
}

function sourceMount(
  { name, sourceContainer, sourcePath, destinationPath }: SharedMount,
  find: FindContainer,
  proc: string,
): Wanted {
  const named = `shared mount ${JSON.stringify(name)}`;
  if (kernelPlaces.has(topOf(destinationPath)))
    throw new GuestError('refused', `${named}: nothing is mounted over ${JSON.stringify(destinationPath)}`);
  const place = `${JSON.stringify(sourcePath)} of container ${sourceContainer}`;
  return {
    what: `a mount at ${place}`,
    seconds: patienceSeconds,
    find: () => {
      const source = find(sourceContainer);
      if (source === undefined || source.first.ended) {
        const message = `${named}: container ${JSON.stringify(sourceContainer)} does not run`;
        throw new GuestError('precondition', message);
      }
      const directory = join(proc, String(source.first.pid));
      return isMounted(join(directory, 'mountinfo'), sourcePath) ? directory : undefined;
    },
    absent: () => {
      const late = `${named}: nothing was mounted at ${place} within ${patienceSeconds} seconds`;
      return new GuestError('precondition', late);
    },
  };
}

function isMounted(table: string, path: string): boolean {
  return parseMountTable(readFileSync(table, 'utf8')).some(({ target }) => target === path);
}

/** The first name of a path, which blank steps and `.` are not. */
function topOf(path: string): string {
  return path.split('/').find((name) => name !== '' && name !== '.') ?? '';
}
