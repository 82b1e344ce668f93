import type { CLibrary } from './koffi.js';

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

const CloneFs = 0x200;
const IoctlNamespaceType = 0xb703;
const cloneFlags: Readonly<Record<ThreadNamespace | 'mnt', number>> = {
  mnt: 0x20000,
  ipc: 0x8000000,
  uts: 0x4000000,
  net: 0x40000000,
};

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
