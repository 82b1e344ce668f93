import {
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { mount } from '../mount/mount.js';
import { MountFlag } from '../mount/mount-options.js';
import { MountTree } from '../mount/mount-tree.js';
import { ResourceLimit } from '../syscalls/confinement-calls.js';
import { At, MountAttribute, Open, Unmount } from '../syscalls/constants.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** PATH of the programs that the guest starts: nothing of the agent's own environment reaches them. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A directory or file that the confined process sees. */
export interface VisiblePath {
  /** In the mount namespace of the agent. */
  readonly from: string;
  /** In that of the confined process. */
  readonly to: string;
  /** `MountAttribute` bits. */
  readonly attributes: number;
}

/** A block device that the confined process may open: its node is made in the process's own root. */
export interface VisibleDisk {
  readonly to: string;
  readonly number: { readonly major: number; readonly minor: number };
}

/** What is left to the process. */
export interface Confinement {
  /** User and group that no other process has. */
  readonly user: number;
  /** Numbers of `Capability`. */
  readonly capabilities: readonly number[];
  readonly places: readonly VisiblePath[];
  /** Absent: no device. */
  readonly disk?: VisibleDisk | undefined;
  readonly network: boolean;
  /** Classic BPF for seccomp(2). */
  readonly filter: Buffer;
  /** Private memory in bytes. */
  readonly memory: number;
  readonly cpuSeconds: number;
  readonly openFiles: number;
  /** Bytes of one file; undefined: no limit, since a disk is as large as it is. */
  readonly fileSize: number | undefined;
  /** The process that started this one: when it ends, the kernel kills this one. */
  readonly parent: number;
}

const readOnly: number = MountAttribute.ReadOnly | MountAttribute.NoSuid | MountAttribute.NoDev;
const highestCapability = 63;
/** Where the new root is assembled; what lies there is hidden from this process only. */
const stagingDirectories: readonly string[] = ['/run', '/tmp', '/mnt'];
const libraryDirectories: readonly string[] = ['/lib', '/lib64', '/usr/lib', '/usr/lib64'];

/** Returns what a program needs: the executable, the system's libraries, and with Node.js the directory of the program that it runs. */
export function programPlaces(executable: string, ...directories: readonly string[]): readonly VisiblePath[] {
  return [executable, ...directories, ...libraryDirectories.filter((path) => existsSync(path))].map(
    (path) => ({ from: path, to: path, attributes: readOnly }),
  );
}

/**
 * Confines the calling thread: limits, namespaces, a root with nothing but `places` and `disk`, user, capabilities, an end with its
 * parent's. The caller executes a program next: other threads of this process are not confined, and execve(2) ends them.
 */
export function confine(syscalls: Syscalls, confinement: Confinement): void {
  process.umask(0o022);
  limitResources(syscalls, confinement);
  syscalls.unshare(['mnt', 'ipc', 'uts', ...(confinement.network ? [] : (['net'] as const))]);
  enterRoot(syscalls, confinement);
  dropPrivileges(syscalls, confinement);
}

function limitResources(syscalls: Syscalls, { memory, cpuSeconds, openFiles, fileSize }: Confinement): void {
  syscalls.setResourceLimit(ResourceLimit.Core, 0);
  syscalls.setResourceLimit(ResourceLimit.Data, memory);
  syscalls.setResourceLimit(ResourceLimit.CpuSeconds, cpuSeconds);
  syscalls.setResourceLimit(ResourceLimit.OpenFiles, openFiles);
  if (fileSize !== undefined) syscalls.setResourceLimit(ResourceLimit.FileSize, fileSize);
}

function enterRoot(
  syscalls: Syscalls,
  { places, disk, user }: Pick<Confinement, 'places' | 'disk' | 'user'>,
): void {
  // Mounts of this namespace no longer reach the agent's, in either direction.
  syscalls.mount('none', '/', '', MountFlag.Recursive | MountFlag.Private, '');
  const copies = outermost(places).map((place) => ({ place, copy: copyOf(syscalls, place) }));
  const staging = stagingDirectories.find((path) => existsSync(path));
  if (staging === undefined) throw new Error(`none of ${stagingDirectories.join(', ')} exists`);
  mount(syscalls, {
    source: 'tmpfs',
    target: staging,
    type: 'tmpfs',
    options: ['nosuid', ...(disk === undefined ? ['nodev'] : []), 'noexec', 'mode=0755', 'size=1m'],
  });
  for (const { place, copy } of copies) attach(syscalls, join(staging, place.to), copy);
  if (disk !== undefined) makeNode(syscalls, join(staging, disk.to), disk.number, user);
  process.chdir(staging);
  changeRoot(syscalls);
  const root = syscalls.openat(At.Cwd, '/', Open.Path | Open.Directory);
  syscalls.mountSetattr(root, { set: MountAttribute.ReadOnly, clear: 0, propagation: 0 }, false);
  syscalls.close(root);
}

/** A place below another one is already visible. */
function outermost(places: readonly VisiblePath[]): readonly VisiblePath[] {
  return places.filter(
    ({ to }) =>
      !places.some((other) => to !== other.to && to.startsWith(`${other.to}/`) && !isLink(other.from)),
  );
}

function isLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink();
}

/** A link, such as /lib, is made again; its target is another place. */
type Copy = { readonly link: string } | { readonly tree: MountTree; readonly isDirectory: boolean };

function copyOf(syscalls: Syscalls, { from, attributes }: VisiblePath): Copy {
  const found = lstatSync(from);
  if (found.isSymbolicLink()) return { link: readlinkSync(from) };
  const fd = syscalls.openat(At.Cwd, from, Open.Path | Open.NoFollow);
  try {
    const tree = MountTree.copy(syscalls, fd, { recursive: false });
    tree.restrict(attributes);
    return { tree, isDirectory: found.isDirectory() };
  } finally {
    syscalls.close(fd);
  }
}

function attach(syscalls: Syscalls, path: string, copy: Copy): void {
  mkdirSync(dirname(path), { recursive: true });
  if ('link' in copy) {
    symlinkSync(copy.link, path);
    return;
  }
  if (copy.isDirectory) mkdirSync(path, { recursive: true });
  else writeFileSync(path, '');
  const place = syscalls.openat(At.Cwd, path, Open.Path | Open.NoFollow);
  try {
    copy.tree.attach(place);
  } finally {
    syscalls.close(place);
    copy.tree.close();
  }
}

/** Makes the node of a block device that only the user may open: no capability makes up for it. */
function makeNode(
  syscalls: Syscalls,
  path: string,
  { major, minor }: VisibleDisk['number'],
  user: number,
): void {
  // makedev(3): the bits of major and minor are interleaved.
  const low = BigInt(minor & 0xff) | (BigInt(major & 0xfff) << 8n);
  const high = (BigInt(minor & ~0xff) << 12n) | (BigInt(major & ~0xfff) << 32n);
  syscalls.mknodat(At.Cwd, path, constants.S_IFBLK | 0o600, Number(low | high));
  chownSync(path, user, user);
}

/** The working directory becomes the root. */
function changeRoot(syscalls: Syscalls): void {
  try {
    syscalls.pivotRoot('.', '.');
    syscalls.umount2('.', Unmount.Detach);
  } catch (error) {
    // The root of an initramfs cannot be replaced, only covered: without CAP_SYS_CHROOT the process stays on top of it.
    if (!hasCode(error, 'EINVAL')) throw error;
    syscalls.mount('.', '/', '', MountFlag.Move, '');
    syscalls.chroot('.');
  }
  process.chdir('/');
}

function dropPrivileges(syscalls: Syscalls, { user, capabilities, filter, parent }: Confinement): void {
  for (let number = 0; number <= highestCapability; number++) {
    if (!capabilities.includes(number) && !syscalls.dropBounding(number)) break;
  }
  syscalls.keepCapabilities();
  process.setgroups?.([]);
  process.setgid?.(user);
  process.setuid?.(user);
  syscalls.setCapabilities({ effective: capabilities, permitted: capabilities, inheritable: capabilities });
  syscalls.clearAmbient();
  for (const capability of capabilities) syscalls.raiseAmbient(capability);
  // A change of user clears it. The parent may have ended before.
  syscalls.endWithParent();
  if (process.ppid !== parent) throw new Error(`process ${parent}, which started this one, has ended`);
  syscalls.noNewPrivileges();
  syscalls.seccomp(filter);
}

/** Leaves a descriptor open when the process executes a program: Node.js makes those that it inherits close-on-exec. */
export function leaveOpen(syscalls: Syscalls, descriptor: number): void {
  const copy = syscalls.duplicate(descriptor);
  syscalls.dup3(copy, descriptor, 0);
  syscalls.close(copy);
}
