/** A path: text (UTF-8 on its way to the kernel), or the bytes themselves for names that are no UTF-8. Never with a NUL. */
export type PathName = string | Uint8Array;

/** How openat2(2) opens: flags are {@link Open}, resolve is {@link Resolve}, mode counts when a file is made. */
export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  readonly resolve: number;
}

/** What mount_setattr(2) changes of a mount: MOUNT_ATTR_* bits ({@link MountAttribute}), and its propagation (MS_*). */
export interface MountAttributes {
  readonly set: number;
  readonly clear: number;
  /** `MountFlag.Private`, `Slave`, `Shared`; 0: stays. */
  readonly propagation: number;
}

/** What waitpid(2) found: a child and its raw status word (see `exitStatus`). */
export interface Waited {
  readonly pid: number;
  readonly status: number;
}

/** Who is at the other end of a unix socket, as the kernel knows it. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The kernel, as far as Node does not reach it. Every call is synchronous and made only where it cannot block the event
 * loop for long; each throws a `SyscallError`. Descriptors are bare numbers here: hold them in a `Descriptor`.
 *
 * What Node does well is not repeated: fstat, ftruncate, fchmod, statfs, reading and writing go through `node:fs`, also
 * on descriptors that came from here.
 */
export interface Syscalls {
  /** Two descriptors: to read from, to write to. Flags: {@link Open}.CloseOnExec, NonBlock. */
  pipe2(flags: number): readonly [read: number, write: number];
  /** F_SETPIPE_SZ: asks for a capacity in bytes and answers the one that the kernel chose (a power of two pages). */
  setPipeSize(fd: number, bytes: number): number;
  /** F_DUPFD_CLOEXEC: a second descriptor of the same open file. */
  duplicate(fd: number): number;
  /** Makes `to` the same open file as `from`, closing what `to` was. */
  dup3(from: number, to: number, flags: number): void;
  /** O_NONBLOCK on the open file, for all who share it. */
  setNonBlocking(fd: number): void;
  /**
   * flock(LOCK_EX | LOCK_NB) on the open file of `fd`. False: another open file has the lock. The kernel ends the lock with
   * the last descriptor of that open file, however the process ends.
   */
  tryLock(fd: number): boolean;
  close(fd: number): void;

  openat(directory: number, path: PathName, flags: number, mode?: number): number;
  openat2(directory: number, path: PathName, how: OpenHow): number;
  mkdirat(directory: number, path: PathName, mode: number): void;
  unlinkat(directory: number, path: PathName, flags: number): void;
  symlinkat(target: PathName, directory: number, path: PathName): void;
  linkat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName, flags: number): void;
  renameat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName): void;
  /** Mode holds the type's bits too; device is `makedev(major, minor)`. */
  mknodat(directory: number, path: PathName, mode: number, device: number): void;
  /** An owner or group of -1 stays as it is. */
  fchownat(directory: number, path: PathName, uid: number, gid: number, flags: number): void;

  /** Flags are MS_* bits; see `parseMountOptions`. An empty type or data goes as a null pointer. */
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  umount2(target: string, flags: number): void;
  /** open_tree(2): a descriptor of a place, or with {@link Tree}.Clone of a copy of its mounts that is attached nowhere. */
  openTree(directory: number, path: PathName, flags: number): number;
  /** move_mount(2): attaches the mount of one descriptor at the place of another. */
  moveMount(tree: number, place: number): void;
  /** mount_setattr(2) on the mount of a descriptor; `recursive`: and on all below it. */
  mountSetattr(tree: number, attributes: MountAttributes, recursive: boolean): void;

  /** Orphaned descendants become children of this process instead of PID 1's. */
  setChildSubreaper(): void;
  /** With {@link Wait}.NoHang: undefined when the child still runs. ECHILD when it is no child of ours. */
  waitpid(pid: number, options: number): Waited | undefined;
  /** A pid below -1 names a process group, as in kill(2). Signal 0 only asks. */
  kill(pid: number, signal: number): void;

  socket(domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number): readonly [number, number];
  /** Address: the bytes of a sockaddr, exactly as long as they shall be. */
  bind(fd: number, address: Uint8Array, label: string): void;
  connect(fd: number, address: Uint8Array, label: string): void;
  listen(fd: number, backlog: number): void;
  accept4(fd: number, flags: number): number;
  /** SO_ERROR: the number of what went wrong since it was last asked for; 0: nothing. */
  socketError(fd: number): number;
  /** getpeername(2): the bytes of the peer's sockaddr. */
  peerAddress(fd: number): Uint8Array;
  /** SO_PEERCRED. */
  peerCredentials(fd: number): PeerCredentials;
  /** One recvmsg(2) that does not wait: the descriptors that came by SCM_RIGHTS, already close-on-exec. EAGAIN when nothing is there. */
  receiveDescriptors(fd: number): readonly number[];

  /** TIOCSWINSZ on a terminal, either side. */
  setWindowSize(fd: number, rows: number, columns: number): void;
  /** tcdrain(3): waits until a terminal has sent what was written to it. */
  drain(fd: number): void;

  chroot(path: string): void;
  sethostname(name: string): void;
  /** clock_settime(CLOCK_REALTIME): seconds since 1970, and nanoseconds below a second. */
  setRealTime(seconds: bigint, nanoseconds: number): void;
  /** RNDADDENTROPY: mixes bytes into the kernel's pool and credits them in full. */
  addEntropy(fd: number, data: Uint8Array): void;
  /** RNDRESEEDCRNG: the generator takes a new seed from the pool now. */
  reseedRandom(fd: number): void;
  /** eventfd(2), which begins at 0, does not block and is closed on exec. */
  eventfd(): number;
  /** fallocate(2) with FALLOC_FL_KEEP_SIZE: gives these bytes of a file their space, beyond its end too. */
  allocate(fd: number, offset: number, length: number): void;
  swapon(path: string): void;
  swapoff(path: string): void;
  sync(): void;
  /** Does not return when it succeeds. See {@link Reboot}. */
  reboot(command: number): void;
}
