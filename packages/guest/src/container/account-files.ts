import { fstatSync, readlinkSync, type Stats } from 'node:fs';
import { At, Descriptor, hasCode, Open, Resolve, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount } from '../oci-spec.js';
import { contains, quoted } from '../source/clean-path.js';
import { isBind } from '../spec/mounts.js';

/** What the OCI runtime reads in a container, whatever the request asks for. */
const files = ['/etc/passwd', '/etc/group'] as const;

/** A list of a hundred thousand users has 6 MB. */
const mostBytes = 16 * 1024 * 1024;

/** What covers a path of a container: a mount, or its root. */
interface Cover {
  /** Empty: the root. */
  readonly destination: string;
  /** In a directory of the agent's own. Undefined: the mount is no bind, and has no file yet. */
  readonly top: string | undefined;
}

/**
 * Refuses a container whose list of users or groups would keep the OCI runtime waiting, as a FIFO does. Each is looked up as
 * the runtime will, in the root or in the mount that covers it, and has to be a regular file, or not there. A link leads to one
 * of the same root or mount. What changes later, or lies behind links in several mounts, is left to `RuntimeCommands`.
 *
 * @param rootfs the container's root, in a directory of the agent's own.
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
    const found = top === undefined ? undefined : look(top, file.slice(destination.length + 1), syscalls);
    if (found === undefined) continue;
    const { stat, at } = found;
    const leads = at === undefined ? '' : `leads to ${quoted(`${destination}/${at}`)}, which `;
    const reason =
      at !== undefined && coverOf(`${destination}/${at}`)?.top !== top
        ? 'another mount covers'
        : whyNot(stat);
    if (reason === undefined) continue;
    throw new GuestError(
      'refused',
      `${file} of the container ${leads}${reason}: give it a regular file of at most ${mostBytes} bytes, or none`,
    );
  }
}

function whyNot(stat: Stats): string | undefined {
  if (!stat.isFile()) return `is ${stat.isFIFO() ? 'a FIFO' : 'not a regular file'}`;
  return stat.size > mostBytes ? `has ${stat.size} bytes` : undefined;
}

interface Found {
  readonly stat: Stats;
  /** Where links have led to, below the top; absent: there were none. */
  readonly at?: string;
}

/** What has a path below a directory for a process whose root it is; `below` empty: what is there itself. */
function look(top: string, below: string, syscalls: Syscalls): Found | undefined {
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

/** Undefined: nothing is there. */
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
