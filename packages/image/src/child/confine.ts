import {
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  At,
  Capability,
  hasCode,
  mount,
  MountAttribute,
  MountFlag,
  MountTree,
  Open,
  ResourceLimit,
  type Syscalls,
  Unmount,
} from '@kata-agent/linux';

/** A directory or file that the confined process sees. */
export interface VisiblePlace {
  /** In the mount namespace of the agent. */
  readonly from: string;
  /** In that of the confined process. */
  readonly to: string;
  /** `MountAttribute` bits. */
  readonly attributes: number;
}

/** What is left to the process. */
export interface Confinement {
  /** User and group that no other process has. */
  readonly user: number;
  /** Numbers of `Capability`. */
  readonly capabilities: readonly number[];
  readonly places: readonly VisiblePlace[];
  readonly network: boolean;
  /** Classic BPF for seccomp(2). */
  readonly filter: Buffer;
  /** Private memory in bytes. */
  readonly memory: number;
  readonly cpuSeconds: number;
  readonly openFiles: number;
  /** Bytes of one file. */
  readonly fileSize: number;
}

/** Changes owners and permissions of what it creates, whoever it belongs to then. */
export const unpackCapabilities: readonly number[] = [
  Capability.ChangeOwner,
  Capability.OverrideAccess,
  Capability.FileOwner,
  Capability.KeepSetId,
  Capability.SetFileCapabilities,
];

/** Reads files whoever they belong to. */
export const packCapabilities: readonly number[] = [Capability.ReadAll];

const readOnly: number = MountAttribute.ReadOnly | MountAttribute.NoSuid | MountAttribute.NoDev;
const highestCapability = 63;
/** Where the new root is assembled; what lies there is hidden from this process only. */
const stagingDirectories: readonly string[] = ['/run', '/tmp', '/mnt'];
const resolverFiles: readonly string[] = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'];
const libraryDirectories: readonly string[] = ['/lib', '/lib64', '/usr/lib', '/usr/lib64'];

/** Returns what a program needs: the executable, the system's libraries, and with Node.js the directory of the program that it runs. */
export function programPlaces(
  executable: string,
  ...directories: readonly string[]
): readonly VisiblePlace[] {
  return [executable, ...directories, ...libraryDirectories.filter((path) => existsSync(path))].map(
    (path) => ({ from: path, to: path, attributes: readOnly }),
  );
}

/** Gives the layers' blobs, read-only, and the root file system that is filled. */
export function unpackPlaces(blobs: string, target: string): readonly VisiblePlace[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: blobs, to: '/blobs', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    // Set-user-ID bits are written, but have no effect on this mount.
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the root file system, read-only, and the directory for its image. */
export function packPlaces(source: string, target: string): readonly VisiblePlace[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: source, to: '/source', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the directory for blobs, and the files with which the C library resolves names. */
export function pullPlaces(blobs: string): readonly VisiblePlace[] {
  const { NoSuid, NoDev, NoExec } = MountAttribute;
  const attributes = NoSuid | NoDev | NoExec;
  return [
    { from: blobs, to: '/blobs', attributes },
    ...resolverFiles
      .filter((path) => existsSync(path))
      // The target of a link, such as that of systemd-resolved, is not visible.
      .map((path) => ({
        from: realpathSync(path),
        to: path,
        attributes: attributes | MountAttribute.ReadOnly,
      })),
  ];
}

/**
 * Confines the calling thread: limits, namespaces, a root with nothing but `places`, user, capabilities. The caller
 * executes a program next: other threads of this process are not confined, and execve(2) ends them.
 */
export function confine(syscalls: Syscalls, confinement: Confinement): void {
  process.umask(0o022);
  limitResources(syscalls, confinement);
  syscalls.unshare(['mnt', 'ipc', 'uts', ...(confinement.network ? [] : (['net'] as const))]);
  enterRoot(syscalls, confinement.places);
  dropPrivileges(syscalls, confinement);
}

function limitResources(syscalls: Syscalls, { memory, cpuSeconds, openFiles, fileSize }: Confinement): void {
  syscalls.setResourceLimit(ResourceLimit.Core, 0);
  syscalls.setResourceLimit(ResourceLimit.Data, memory);
  syscalls.setResourceLimit(ResourceLimit.CpuSeconds, cpuSeconds);
  syscalls.setResourceLimit(ResourceLimit.OpenFiles, openFiles);
  syscalls.setResourceLimit(ResourceLimit.FileSize, fileSize);
}

function enterRoot(syscalls: Syscalls, places: readonly VisiblePlace[]): void {
  // Mounts of this namespace no longer reach the agent's, in either direction.
  syscalls.mount('none', '/', '', MountFlag.Recursive | MountFlag.Private, '');
  const copies = outermost(places).map((place) => ({ place, copy: copyOf(syscalls, place) }));
  const staging = stagingDirectories.find((path) => existsSync(path));
  if (staging === undefined) throw new Error(`none of ${stagingDirectories.join(', ')} exists`);
  mount(syscalls, {
    source: 'tmpfs',
    target: staging,
    type: 'tmpfs',
    options: ['nosuid', 'nodev', 'noexec', 'mode=0755', 'size=1m'],
  });
  for (const { place, copy } of copies) attach(syscalls, join(staging, place.to), copy);
  process.chdir(staging);
  changeRoot(syscalls);
  const root = syscalls.openat(At.Cwd, '/', Open.Path | Open.Directory);
  syscalls.mountSetattr(root, { set: MountAttribute.ReadOnly, clear: 0, propagation: 0 }, false);
  syscalls.close(root);
}

/** A place below another one is already visible. */
function outermost(places: readonly VisiblePlace[]): readonly VisiblePlace[] {
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

function copyOf(syscalls: Syscalls, { from, attributes }: VisiblePlace): Copy {
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

function dropPrivileges(syscalls: Syscalls, { user, capabilities, filter }: Confinement): void {
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
  syscalls.noNewPrivileges();
  syscalls.seccomp(filter);
}
