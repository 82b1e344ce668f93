import { createRequire } from 'node:module';
import { SyscallError } from './syscall-error.js';

/** The calls that move a thread between namespaces, and a mount with it. Each throws a `SyscallError`. */
export interface NamespaceCalls {
  /** unshare(CLONE_FS): root, working directory and umask of this thread are its own. Doing it twice is fine. */
  unshareFs(): void;
  /** setns(CLONE_NEWNS): the thread sees that namespace's mounts, from its root. */
  setMountNamespace(fd: number): void;
  /** setns(2) of a namespace of that type, which threads of one process may differ in. */
  setNamespace(fd: number, type: ThreadNamespace): void;
  /** open_tree(OPEN_TREE_CLONE | AT_RECURSIVE): a copy of the mounts at an open place, attached nowhere. */
  cloneTree(fd: number): number;
  /** move_mount(2): attaches the copy at an open place. */
  attachTree(tree: number, place: number): void;
}

/** A type of namespace that a thread enters without leaving anything else, as /proc/PID/ns names it. */
export type ThreadNamespace = 'ipc' | 'uts';

const CloneFs = 0x200;
const CloneNewMount = 0x20000;
const threadNamespaces: Readonly<Record<ThreadNamespace, number>> = { ipc: 0x8000000, uts: 0x4000000 };
const SysOpenTree = 428;
const SysMoveMount = 429;
const EmptyPath = 0x1000;
const OpenTreeClone = 1;
const Recursive = 0x8000;
const CloseOnExec = 0o2000000;
const MoveFromEmptyPath = 0x4;
const MoveToEmptyPath = 0x40;
const empty: Buffer = Buffer.from(new ArrayBuffer(1));

/** Loads koffi, as `loadSyscalls` does; apart from it, since hardly any pod asks for it. */
export function loadNamespaceCalls(): NamespaceCalls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(null);
  const unshare = library.func('int unshare(int flags)');
  const setns = library.func('int setns(int fd, int type)');
  const openTree = library.func('long syscall(long number, int fd, const void *path, unsigned int flags)');
  const moveMount = library.func(
    'long syscall(long number, int from, const void *from_path, int to, const void *to_path, unsigned int flags)',
  );
  const check = (name: string, result: number): number => {
    if (result < 0) throw new SyscallError(name, koffi.errno());
    return result;
  };
  return {
    unshareFs: () => void check('unshare', unshare(CloneFs)),
    setMountNamespace: (fd) => void check('setns', setns(fd, CloneNewMount)),
    setNamespace: (fd, type) => void check('setns', setns(fd, threadNamespaces[type])),
    cloneTree: (fd) => {
      const flags = OpenTreeClone | CloseOnExec | EmptyPath | Recursive;
      return check('open_tree', openTree(SysOpenTree, fd, empty, flags));
    },
    attachTree: (tree, place) => {
      const flags = MoveFromEmptyPath | MoveToEmptyPath;
      check('move_mount', moveMount(SysMoveMount, tree, empty, place, empty, flags));
    },
  };
}
