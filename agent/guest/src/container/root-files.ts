import { fstatSync, readlinkSync, type Stats } from 'node:fs';
import {
  At,
  Descriptor,
  Directory,
  hasCode,
  Open,
  Resolve,
  type Syscalls,
  UnsafePathError,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount } from '../request/oci-spec.js';
import { contains } from '../paths/clean-path.js';
import { isBind } from '../spec/mounts.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly checkAccountFiles: (args: {
      readonly rootfs: string;
      readonly mounts: readonly OciMount[];
    }) => void;
  }
}

/** Files that the OCI runtime reads in a container, whatever the request asks for. */
const files = ['/etc/passwd', '/etc/group'] as const;

/** Size limit of each; a hundred thousand users take 6 MB. */
const maxBytes = 16 * 1024 * 1024;

/** A mount that contains a path of a container, or its root. */
interface Cover {
  /** Empty: the root. */
  readonly destination: string;
  /** Its source, in a directory of the agent. Undefined: not a bind mount, so without files before the container runs. */
  readonly top: string | undefined;
}

/**
 * Refuses a container whose /etc/passwd or /etc/group would block the OCI runtime, as a FIFO does. Each is resolved as
 * by the runtime, in the root or in the mount that contains it, and must be a regular file, or not exist. Links are
 * followed within the same root or mount. Later changes, and links across several mounts, are left to the time-outs of
 * `RunningCommands`.
 *
 * @param rootfs the container's root, in a directory of the agent.
 * @param mounts as the OCI runtime gets them, with clean destinations.
 * @throws GuestError `refused`
 */
export function checkAccountFiles(rootfs: string, mounts: readonly OciMount[], syscalls: Syscalls): void {
  const covers: readonly Cover[] = [
    { destination: '', top: rootfs },
    ...mounts.map((mount) => ({
      destination: mount.destination,
      top: isBind(mount) ? mount.source : undefined,
    })),
  ];
  const coverOf = (path: string) =>
    covers.findLast(({ destination }) => destination === '' || contains(destination, path));
  for (const file of files) {
    const { destination, top } = coverOf(file) ?? { destination: '', top: undefined };
    const found = top === undefined ? undefined : resolve(top, file.slice(destination.length + 1), syscalls);
    if (found === undefined) continue;
    const { stat, at } = found;
    const leads = at === undefined ? '' : `leads to ${quotedPath(`${destination}/${at}`)}, which `;
    const reason =
      at !== undefined && coverOf(`${destination}/${at}`)?.top !== top
        ? 'another mount covers'
        : reasonToRefuse(stat);
    if (reason === undefined) continue;
    throw new GuestError(
      'refused',
      `${file} of the container ${leads}${reason}; help: use a regular file of at most ${maxBytes} bytes, or remove it`,
    );
  }
}

function reasonToRefuse(stat: Stats): string | undefined {
  if (!stat.isFile()) return `is ${stat.isFIFO() ? 'a FIFO' : 'not a regular file'}`;
  return stat.size > maxBytes ? `has ${stat.size} bytes` : undefined;
}

interface Found {
  readonly stat: Stats;
  /** The path after links, relative to the top; absent: there were no links. */
  readonly at?: string;
}

/** Resolves a path below a directory as a process with that root would; `below` empty: the directory itself. */
function resolve(top: string, below: string, syscalls: Syscalls): Found | undefined {
  const held = new Descriptor(syscalls, syscalls.openat(At.Cwd, top, Open.Path | Open.NoFollow));
  try {
    if (below === '') return { stat: fstatSync(held.fd) };
    const plain = open(held.fd, below, Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks, syscalls);
    if (plain === undefined) return undefined;
    const linked =
      plain === 'link' ? open(held.fd, below, Resolve.InRoot | Resolve.NoMagicLinks, syscalls) : plain;
    if (linked === undefined || linked === 'link') return undefined;
    try {
      const stat = fstatSync(linked.fd);
      if (plain !== 'link') return { stat };
      return { stat, at: pathOf(linked).slice(pathOf(held).length + 1) };
    } finally {
      linked.close();
    }
  } finally {
    held.close();
  }
}

function pathOf({ fd }: Descriptor): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}

/** Undefined: it does not exist. */
function open(
  directory: number,
  path: string,
  resolve: number,
  syscalls: Syscalls,
): Descriptor | 'link' | undefined {
  try {
    return new Descriptor(syscalls, syscalls.openat2(directory, path, { flags: Open.Path, resolve }));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    if (hasCode(error, 'ELOOP')) return 'link';
    throw error;
  }
}

interface InRoot {
  readonly rootfs: string;
  readonly path: string;
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly checkKernelPlaces: (args: InRoot) => void;
    readonly hasRegularFile: (args: InRoot) => boolean;
  }
}

/** Refuses links and files where the OCI runtime mounts kernel file systems and creates devices: it follows links. */
export function checkKernelPlaces(rootfs: string, path: string, syscalls: Syscalls): void {
  const root = Directory.open(syscalls, rootfs);
  try {
    for (const name of ['dev', 'proc', 'sys']) {
      if (root.stat(name)?.isDirectory() === false)
        throw new GuestError(
          'refused',
          `/${name} of the root ${JSON.stringify(path)} is a link or a file; help: make it a directory in the image`,
        );
    }
  } finally {
    root.close();
  }
}

/** Reports whether a path of a root leads to a regular file without links. */
export function hasRegularFile(rootfs: string, path: string, syscalls: Syscalls): boolean {
  const root = Directory.open(syscalls, rootfs);
  try {
    return root.stat(path)?.isFile() === true;
  } catch (error) {
    if (error instanceof UnsafePathError || hasCode(error, 'ENOTDIR')) return false;
    throw error;
  } finally {
    root.close();
  }
}
