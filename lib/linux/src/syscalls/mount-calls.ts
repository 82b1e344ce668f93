import { bytes, type CLibrary, cString, type PathName } from './koffi.js';
import { At, Tree } from './constants.js';

const CloneFs = 0x200;

const IoctlNamespaceType = 0xb703;

const cloneFlags: Readonly<Record<ThreadNamespace | 'mnt', number>> = {
  mnt: 0x20000,
  ipc: 0x8000000,
  uts: 0x4000000,
  net: 0x40000000,
};

/** Arguments of mount_setattr(2): MOUNT_ATTR_* bits ({@link MountAttribute}), and the propagation (MS_*). */
export interface MountAttributes {
  readonly set: number;
  readonly clear: number;
  /** `MountFlag.Private`, `Slave` or `Shared`; 0: unchanged. */
  readonly propagation: number;
}

/** Calls that change the mount table of the calling thread's namespace. */
export interface MountCalls {
  /** mount(2). Flags are MS_* bits; see `parseMountOptions`. An empty type or data is passed as a null pointer. */
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  umount2(target: string, flags: number): void;
  /** open_tree(2): returns a descriptor of a path, or with {@link Tree}.Clone of a detached copy of its mounts. */
  openTree(directory: number, path: PathName, flags: number): number;
  /** move_mount(2): attaches the mount of one descriptor at the mount point of another. */
  moveMount(tree: number, place: number): void;
  /** mount_setattr(2) on the mount of a descriptor; `recursive`: on all mounts below it too. */
  mountSetattr(tree: number, attributes: MountAttributes, recursive: boolean): void;
}

const SysOpenTree = 428;
const SysMoveMount = 429;
const SysMountSetattr = 442;
const MoveFromEmptyPath = 0x4;
const MoveToEmptyPath = 0x40;

/** These calls of the C library. */
export function mountCalls(library: CLibrary): MountCalls {
  const { check } = library;
  const mount = library.find(
    'int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)',
  );
  const umount2 = library.find('int umount2(const void *target, int flags)');
  const openTree = library.find(
    'long syscall(long number, int directory, const void *path, unsigned int flags)',
  );
  const moveMount = library.find(
    'long syscall(long number, int from, const void *from_path, int to, const void *to_path, unsigned int flags)',
  );
  const mountSetattr = library.find(
    'long syscall(long number, int directory, const void *path, unsigned int flags, const void *attributes, size_t size)',
  );
  return {
    mount(source, target, type, flags, data) {
      const result = mount(
        cString('mount', source),
        cString('mount', target),
        type === '' ? null : cString('mount', type),
        flags >>> 0,
        data === '' ? null : cString('mount', data),
      );
      check('mount', result, target);
    },
    umount2: (target, flags) => void check('umount2', umount2(cString('umount2', target), flags), target),
    openTree(directory, path, flags) {
      const name = cString('open_tree', path);
      return check('open_tree', openTree(SysOpenTree, directory, name, flags | Tree.CloseOnExec), path);
    },
    moveMount(tree, place) {
      const empty = cString('move_mount', '');
      const flags = MoveFromEmptyPath | MoveToEmptyPath;
      check('move_mount', moveMount(SysMoveMount, tree, empty, place, empty, flags));
    },
    mountSetattr(tree, { set, clear, propagation }, recursive) {
      const block = bytes(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd, each 64 bits
      block.writeBigUInt64LE(BigInt(set), 0);
      block.writeBigUInt64LE(BigInt(clear), 8);
      block.writeBigUInt64LE(BigInt(propagation), 16);
      const flags = At.EmptyPath | (recursive ? Tree.Recursive : 0);
      const empty = cString('mount_setattr', '');
      check('mount_setattr', mountSetattr(SysMountSetattr, tree, empty, flags, block, block.length));
    },
  };
}

/** A namespace type that a single thread can enter, by its name in /proc/PID/ns. */
export type ThreadNamespace = 'ipc' | 'uts' | 'net';

/** Calls that move the calling thread between namespaces. */
export interface NamespaceCalls {
  /** unshare(CLONE_FS): gives this thread its own root, working directory and umask. May be called repeatedly. */
  unshareFs(): void;
  /**
   * setns(2): enters the namespace of a descriptor; with `mnt`, root and working directory become that namespace's
   * root.
   */
  setNamespace(fd: number, type: ThreadNamespace | 'mnt'): void;
  /** ioctl(NS_GET_NSTYPE): reports whether a file of nsfs, opened for reading, is a namespace of this type. */
  isNamespaceOf(fd: number, type: ThreadNamespace | 'mnt'): boolean;
}

/** These calls of the C library. */
export function namespaceCalls(library: CLibrary): NamespaceCalls {
  const { check } = library;
  const unshare = library.find('int unshare(int flags)');
  const setns = library.find('int setns(int fd, int type)');
  const ioctl = library.find('int ioctl(int fd, unsigned long request, void *argument)');
  return {
    unshareFs: () => void check('unshare', unshare(CloneFs)),
    setNamespace: (fd, type) => void check('setns', setns(fd, cloneFlags[type])),
    isNamespaceOf: (fd, type) =>
      check('ioctl(NS_GET_NSTYPE)', ioctl(fd, IoctlNamespaceType, null)) === cloneFlags[type],
  };
}
