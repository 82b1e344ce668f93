import { createRequire } from 'node:module';

/** Bytes that C reads or writes in place. */
type Bytes = Uint8Array | null;

/** The C library's functions that we call, with C's own conventions: -1 and errno for a refusal. */
export interface Libc {
  readonly pipe2: (fds: Uint8Array, flags: number) => number;
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly dup3: (from: number, to: number, flags: number) => number;
  readonly flock: (fd: number, operation: number) => number;
  readonly close: (fd: number) => number;
  readonly openat: (directory: number, path: Uint8Array, flags: number, mode: number) => number;
  /** syscall(SYS_openat2, …): glibc has no function for it before 2.43, musl none. */
  readonly openat2: (
    number: number,
    directory: number,
    path: Uint8Array,
    how: Uint8Array,
    size: number,
  ) => number;
  readonly mkdirat: (directory: number, path: Uint8Array, mode: number) => number;
  readonly unlinkat: (directory: number, path: Uint8Array, flags: number) => number;
  readonly symlinkat: (target: Uint8Array, directory: number, path: Uint8Array) => number;
  readonly linkat: (
    fromDirectory: number,
    from: Uint8Array,
    toDirectory: number,
    to: Uint8Array,
    flags: number,
  ) => number;
  readonly renameat: (fromDirectory: number, from: Uint8Array, toDirectory: number, to: Uint8Array) => number;
  readonly mknodat: (directory: number, path: Uint8Array, mode: number, device: number) => number;
  readonly fchownat: (directory: number, path: Uint8Array, uid: number, gid: number, flags: number) => number;
  readonly mount: (source: Uint8Array, target: Uint8Array, type: Bytes, flags: number, data: Bytes) => number;
  /** syscall(SYS_open_tree, …). */
  readonly openTree: (number: number, directory: number, path: Uint8Array, flags: number) => number;
  /** syscall(SYS_move_mount, …). */
  readonly moveMount: (
    number: number,
    from: number,
    fromPath: Uint8Array,
    to: number,
    toPath: Uint8Array,
    flags: number,
  ) => number;
  /** syscall(SYS_mount_setattr, …). */
  readonly mountSetattr: (
    number: number,
    directory: number,
    path: Uint8Array,
    flags: number,
    attributes: Uint8Array,
    size: number,
  ) => number;
  readonly umount2: (target: Uint8Array, flags: number) => number;
  readonly prctl: (option: number, a: number, b: number, c: number, d: number) => number;
  readonly waitpid: (pid: number, status: Uint8Array, options: number) => number;
  readonly kill: (pid: number, signal: number) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, fds: Uint8Array) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly connect: (fd: number, address: Uint8Array, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, address: Bytes, length: Bytes, flags: number) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: Uint8Array,
  ) => number;
  readonly getpeername: (fd: number, address: Uint8Array, length: Uint8Array) => number;
  readonly recvmsg: (fd: number, message: Uint8Array, flags: number) => number;
  readonly ioctl: (fd: number, request: number, argument: Bytes) => number;
  readonly clockSettime: (clock: number, time: Uint8Array) => number;
  readonly eventfd: (initial: number, flags: number) => number;
  readonly fallocate: (fd: number, mode: number, offset: number, length: number) => number;
  readonly swapon: (path: Uint8Array, flags: number) => number;
  readonly swapoff: (path: Uint8Array) => number;
  readonly tcdrain: (fd: number) => number;
  readonly chroot: (path: Uint8Array) => number;
  readonly sethostname: (name: Uint8Array, length: number) => number;
  readonly sync: () => void;
  readonly reboot: (command: number) => number;
  /** errno of the last call that failed. */
  readonly errno: () => number;
  /** Where these bytes are, for a pointer inside a structure. Keep the bytes referenced until the call is over. */
  readonly address: (bytes: Uint8Array) => bigint;
}

/**
 * koffi is loaded here and not when the module is imported: it costs 9 ms and 4 MB (docs/measurements.md, "Start and
 * memory"), and a program that only checks a configuration needs none of it. The functions come from the process
 * itself, which has the C library loaded already, whether that is glibc or musl. Variadic functions (fcntl, ioctl,
 * openat, syscall) are declared with the arguments we give: on x86_64 and aarch64 Linux those travel as for any other
 * function.
 */
export function loadLibc(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(null);
  return {
    pipe2: library.func('int pipe2(void *fds, int flags)'),
    fcntl: library.func('int fcntl(int fd, int command, int argument)'),
    dup3: library.func('int dup3(int from, int to, int flags)'),
    flock: library.func('int flock(int fd, int operation)'),
    close: library.func('int close(int fd)'),
    openat: library.func('int openat(int directory, const void *path, int flags, unsigned int mode)'),
    openat2: library.func(
      'long syscall(long number, int directory, const void *path, const void *how, size_t size)',
    ),
    mkdirat: library.func('int mkdirat(int directory, const void *path, unsigned int mode)'),
    unlinkat: library.func('int unlinkat(int directory, const void *path, int flags)'),
    symlinkat: library.func('int symlinkat(const void *target, int directory, const void *path)'),
    linkat: library.func('int linkat(int from_dir, const void *from, int to_dir, const void *to, int flags)'),
    renameat: library.func('int renameat(int from_dir, const void *from, int to_dir, const void *to)'),
    mknodat: library.func('int mknodat(int directory, const void *path, unsigned int mode, uint64_t device)'),
    fchownat: library.func(
      'int fchownat(int directory, const void *path, unsigned int uid, unsigned int gid, int flags)',
    ),
    mount: library.func(
      'int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)',
    ),
    openTree: library.func('long syscall(long number, int directory, const void *path, unsigned int flags)'),
    moveMount: library.func(
      'long syscall(long number, int from, const void *from_path, int to, const void *to_path, unsigned int flags)',
    ),
    mountSetattr: library.func(
      'long syscall(long number, int directory, const void *path, unsigned int flags, const void *attributes, size_t size)',
    ),
    umount2: library.func('int umount2(const void *target, int flags)'),
    prctl: library.func(
      'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
    ),
    waitpid: library.func('int waitpid(int pid, void *status, int options)'),
    kill: library.func('int kill(int pid, int signal)'),
    socket: library.func('int socket(int domain, int type, int protocol)'),
    socketpair: library.func('int socketpair(int domain, int type, int protocol, void *fds)'),
    bind: library.func('int bind(int fd, const void *address, unsigned int length)'),
    connect: library.func('int connect(int fd, const void *address, unsigned int length)'),
    listen: library.func('int listen(int fd, int backlog)'),
    accept4: library.func('int accept4(int fd, void *address, void *length, int flags)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
    getpeername: library.func('int getpeername(int fd, void *address, void *length)'),
    recvmsg: library.func('long recvmsg(int fd, void *message, int flags)'),
    ioctl: library.func('int ioctl(int fd, unsigned long request, void *argument)'),
    clockSettime: library.func('int clock_settime(int clock, const void *time)'),
    eventfd: library.func('int eventfd(unsigned int initial, int flags)'),
    fallocate: library.func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)'),
    swapon: library.func('int swapon(const void *path, int flags)'),
    swapoff: library.func('int swapoff(const void *path)'),
    tcdrain: library.func('int tcdrain(int fd)'),
    chroot: library.func('int chroot(const void *path)'),
    sethostname: library.func('int sethostname(const void *name, size_t length)'),
    sync: library.func('void sync()'),
    reboot: library.func('int reboot(unsigned int command)'),
    errno: () => koffi.errno(),
    address: (bytes) => koffi.address(bytes),
  };
}
