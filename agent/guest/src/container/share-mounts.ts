import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseMountTable } from '@kata-agent/linux';
import type { SharedMount } from '../request/actions.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { Container } from './container.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { HostMedia } from '../media/host-media.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Attaches a mount of a container in another one. Lent: the mount namespaces of both. */
    readonly shareMount: (args: { readonly from: string; readonly to: string }) => void;
  }
}

/** Time that the sharing container has to make the mount; Kata's agent waits ten seconds too. */
const timeoutSeconds = 10;

interface SharingContext {
  readonly paths: Pick<GuestPaths, 'proc'>;
  readonly media: HostMedia;
  readonly devices: DeviceWatch;
}

/** Finds a container by a name from the host: in the pod, of its engine, or its id. */
export type FindContainer = (name: string) => Container | undefined;

/** Top-level directories where no mount is attached: programs trust what they read there, and runc refuses mounts too. */
const kernelPlaces: ReadonlySet<string> = new Set(['proc', 'sys', 'dev']);

/** Returns the container that a shared mount refers to: by its name in the pod, by its engine's name, by its id. */
export function containerNamed<T extends Pick<Container, 'id' | 'annotations'>>(
  containers: Iterable<T>,
  name: string,
  namesOf: NamesOf,
): T | undefined {
  // Unnamed containers have empty names.
  if (name === '') return undefined;
  const all = Array.from(containers, (container) => ({ container, ...namesOf(container.annotations) }));
  const found =
    all.find(({ inPod }) => inPod === name) ??
    all.find(({ ofEngine }) => ofEngine === name) ??
    all.find(({ container }) => container.id === name);
  return found?.container;
}

/** Returns the mounts of other containers that one needs, each with the `/proc/PID` of a process that sees it. */
export function sourceMounts(
  mounts: readonly SharedMount[],
  find: FindContainer,
  { proc }: Pick<GuestPaths, 'proc'>,
): readonly Wanted[] {
  return mounts.map((mount) => sourceMount(mount, find, proc));
}

/**
 * Attaches mounts that processes of other containers made, such as FUSE, in a container that was created and not started
 * yet. `namespace`: a descriptor of its mount namespace. They end with that namespace. Threads resolve the paths: what the
 * containers serve or have of the share can make them wait.
 */
export async function shareMounts(
  mounts: readonly SharedMount[],
  namespace: number,
  find: FindContainer,
  { paths, media, devices }: SharingContext,
): Promise<void> {
  for (const mount of mounts) {
    const directory = devices.find(sourceMount(mount, find, paths.proc));
    // At once: when a thread gets to it, another process can have the number.
    const source = openSync(join(directory, 'ns/mnt'), 'r');
    try {
      const place = { from: mount.sourcePath, to: mount.destinationPath };
      await media.run('shareMount', place, [source, namespace]);
    } finally {
      closeSync(source);
    }
  }
}

function sourceMount(
  { name, sourceContainer, sourcePath, destinationPath }: SharedMount,
  find: FindContainer,
  proc: string,
): Wanted {
  const named = `shared mount ${JSON.stringify(name)}`;
  if (kernelPlaces.has(topOf(destinationPath)))
    throw new GuestError('refused', `${named}: mounts over ${JSON.stringify(destinationPath)} are refused`);
  const place = `${JSON.stringify(sourcePath)} of container ${sourceContainer}`;
  return {
    what: `a mount at ${place}`,
    seconds: timeoutSeconds,
    find: () => {
      const source = find(sourceContainer);
      if (source === undefined || source.first.ended) {
        const message = `${named}: container ${JSON.stringify(sourceContainer)} is not running`;
        throw new GuestError('precondition', message);
      }
      const directory = join(proc, String(source.first.pid));
      return isMounted(join(directory, 'mountinfo'), sourcePath) ? directory : undefined;
    },
    absent: () => {
      const late = `${named}: nothing was mounted at ${place} within ${timeoutSeconds} seconds`;
      return new GuestError('precondition', late);
    },
  };
}

function isMounted(table: string, path: string): boolean {
  return parseMountTable(readFileSync(table, 'utf8')).some(({ target }) => target === path);
}

/** Returns the first component of a path, ignoring empty ones and `.`. */
function topOf(path: string): string {
  return path.split('/').find((name) => name !== '' && name !== '.') ?? '';
}

/** The names of a container on the host. */
export interface ContainerNames {
  /** Its name in the pod; empty: the pause container, or no name. */
  readonly inPod: string;
  /** Its name in the host's engine (such as Docker); empty: no name. */
  readonly ofEngine: string;
}

/** Reads the names from the annotations of a container. */
export type NamesOf = (annotations: Readonly<Record<string, string>>) => ContainerNames;
