import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  MountAttribute,
  type MountPoint,
  parseMountTable,
  restrictMounts,
  type Syscalls,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import { contains } from '../paths/clean-path.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly refuseLinks: (args: LinkRefusal) => void;
  }
}

/** Which mounts of a container that was created, and not started yet, get `nosymfollow`. */
export interface LinkRefusal {
  /** Its first process. */
  readonly pid: number;
  readonly proc: string;
  /** The mount points of all its mounts, in the order of the request; those of `refused` among them. */
  readonly destinations: readonly string[];
  readonly refused: readonly string[];
}

/** The mount points of a container's mounts: as requested, and with the links of its root resolved. */
interface Destinations {
  readonly requested: readonly string[];
  readonly resolved: readonly string[];
}

/** Returns the resolved mount points of a container whose links are refused. `container`: its name in the pod; empty: it has none. */
export function refusedDestinations(
  mounts: readonly NamedMount[],
  container: string,
  { requested, resolved }: Destinations,
): readonly string[] {
  const own = new Set(mounts.filter((each) => each.container === container).map(({ path }) => path));
  return resolved.filter((path, index) => own.has(path) || own.has(requested[index] ?? path));
}

/**
 * Sets `nosymfollow` of the mounts and of what is mounted in them with the same source, not of the container's other mounts below.
 * The OCI runtime would not: crun ignores the option, and its remount drops the attribute of a copy.
 *
 * @throws GuestError `internal`: one of the mounts has not got it.
 */
export function refuseLinks({ pid, proc, destinations, refused }: LinkRefusal, syscalls: Syscalls): void {
  const read = (): readonly MountPoint[] =>
    parseMountTable(readFileSync(join(proc, String(pid), 'mountinfo'), 'utf8'));
  const isRefused = ({ target }: MountPoint): boolean => {
    const within = destinations.findLast((path) => contains(path, target));
    return within !== undefined && refused.includes(within);
  };
  const paths = [
    ...new Set(
      read()
        .filter(isRefused)
        .map(({ target }) => target),
    ),
  ];
  restrictMounts(syscalls, join(proc, String(pid), 'ns/mnt'), paths, MountAttribute.NoSymFollow);
  const after = read();
  for (const path of new Set([...refused, ...paths])) {
    if (after.findLast(({ target }) => target === path)?.options.includes('nosymfollow') === true) continue;
    throw new GuestError(
      'internal',
      `the mount at ${quotedPath(path)} follows symbolic links, which nosymfollow of the configuration denies`,
    );
  }
}

/** A mount of a container, as the configuration names it: `CONTAINER=MOUNT POINT`. */
export interface NamedMount {
  /** The name of the container in the pod. */
  readonly container: string;
  /** The mount point. */
  readonly path: string;
}
