import { Buffer } from 'node:buffer';
import { endianness } from 'node:os';
import { bytes, controlDescriptors, controlHeader, cString, printable, uint32 } from './c-memory.js';
import { At, Open, Tree } from './constants.js';
import { loadLibc, type Libc } from './libc.js';
import { SyscallError } from './syscall-error.js';
import type { MountAttributes, OpenHow, PathName, PeerCredentials, Syscalls, Waited } from './syscalls.js';

const FcntlGetFlags = 3;
const FcntlSetFlags = 4;
const FcntlDuplicateCloseOnExec = 1030;
const FcntlSetPipeSize = 1031;
/** LOCK_EX | LOCK_NB. */
const LockExclusiveNow = 6;
const PrctlSetChildSubreaper = 36;
const SolSocket = 1;
const SoError = 4;
const SoPeerCredentials = 17;
const MsgDontWait = 0x40;
const MsgControlTruncated = 0x08;
const MsgCloseOnExec = 0x40000000;
const IoctlSetWindowSize = 0x5414;
const IoctlAddEntropy = 0x40085203;
const IoctlReseedRandom = 0x5207;
const ClockRealTime = 0;
const SysOpenTree = 428;
const SysMoveMount = 429;
const FallocateKeepSize = 1;
const SysOpenat2 = 437;
const SysMountSetattr = 442;
const MoveFromEmptyPath = 0x4;
const MoveToEmptyPath = 0x40;
/** RESOLVE_BENEATH answers EAGAIN when somebody renamed or mounted meanwhile; openat2(2) says to try again. */
const openat2Attempts = 128;
/** How many descriptors one message may carry to us. More are an error, and all are closed. */
const maxReceived = 8;

/** The kernel itself. Loads koffi at the first call; a failure to do so names what is missing. */
export function loadSyscalls(): Syscalls {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(
      `system calls are written for Linux on x86_64 and aarch64, not for ${process.platform} on ${process.arch}`,
    );
  }
  return new KoffiSyscalls(loadLibc());
}

class KoffiSyscalls implements Syscalls {
  readonly #libc: Libc;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  pipe2(flags: number): readonly [read: number, write: number] {
    const fds = bytes(8);
    this.#check('pipe2', this.#libc.pipe2(fds, flags));
    return [fds.readInt32LE(0), fds.readInt32LE(4)];
  }

  setPipeSize(fd: number, size: number): number {
    return this.#check('fcntl(F_SETPIPE_SZ)', this.#libc.fcntl(fd, FcntlSetPipeSize, size), `${size} bytes`);
  }

  duplicate(fd: number): number {
    return this.#check('fcntl(F_DUPFD_CLOEXEC)', this.#libc.fcntl(fd, FcntlDuplicateCloseOnExec, 3));
  }

  dup3(from: number, to: number, flags: number): void {
    this.#check('dup3', this.#libc.dup3(from, to, flags));
  }

  setNonBlocking(fd: number): void {
    const flags = this.#check('fcntl(F_GETFL)', this.#libc.fcntl(fd, FcntlGetFlags, 0));
    this.#check('fcntl(F_SETFL)', this.#libc.fcntl(fd, FcntlSetFlags, flags | Open.NonBlock));
  }

  tryLock(fd: number): boolean {
    if (this.#libc.flock(fd, LockExclusiveNow) === 0) return true;
    const error = this.#failure('flock', `descriptor ${fd}`);
    if (error.code === 'EAGAIN') return false;
    throw error;
  }

  close(fd: number): void {
    this.#check('close', this.#libc.close(fd), `descriptor ${fd}`);
  }

  openat(directory: number, path: PathName, flags: number, mode = 0): number {
    const result = this.#libc.openat(directory, cString('openat', path), flags | Open.CloseOnExec, mode);
    return this.#check('openat', result, path);
  }

  openat2(directory: number, path: PathName, how: OpenHow): number {
    const name = cString('openat2', path);
    const block = bytes(24); // struct open_how: flags, mode, resolve, each 64 bits
    block.writeBigUInt64LE(BigInt(how.flags | Open.CloseOnExec), 0);
    block.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
    block.writeBigUInt64LE(BigInt(how.resolve), 16);
    for (let attempt = 1; ; attempt++) {
      const fd = this.#libc.openat2(SysOpenat2, directory, name, block, block.length);
      if (fd >= 0) return fd;
      const error = this.#failure('openat2', path);
      if (error.code !== 'EAGAIN' || attempt === openat2Attempts) throw error;
    }
  }

  mkdirat(directory: number, path: PathName, mode: number): void {
    this.#check('mkdirat', this.#libc.mkdirat(directory, cString('mkdirat', path), mode), path);
  }

  unlinkat(directory: number, path: PathName, flags: number): void {
    this.#check('unlinkat', this.#libc.unlinkat(directory, cString('unlinkat', path), flags), path);
  }

  symlinkat(target: PathName, directory: number, path: PathName): void {
    const result = this.#libc.symlinkat(cString('symlinkat', target), directory, cString('symlinkat', path));
    this.#check('symlinkat', result, path);
  }

  linkat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName, flags: number): void {
    const result = this.#libc.linkat(
      fromDirectory,
      cString('linkat', from),
      toDirectory,
      cString('linkat', to),
      flags,
    );
    this.#check('linkat', result, to);
  }

  renameat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName): void {
    const result = this.#libc.renameat(
      fromDirectory,
      cString('renameat', from),
      toDirectory,
      cString('renameat', to),
    );
    this.#check('renameat', result, to);
  }

  mknodat(directory: number, path: PathName, mode: number, device: number): void {
    this.#check('mknodat', this.#libc.mknodat(directory, cString('mknodat', path), mode, device), path);
  }

  fchownat(directory: number, path: PathName, uid: number, gid: number, flags: number): void {
    const name = cString('fchownat', path);
    this.#check('fchownat', this.#libc.fchownat(directory, name, uid >>> 0, gid >>> 0, flags), path);
  }

  mount(source: string, target: string, type: string, flags: number, data: string): void {
    const result = this.#libc.mount(
      cString('mount', source),
      cString('mount', target),
      type === '' ? null : cString('mount', type),
      flags >>> 0,
      data === '' ? null : cString('mount', data),
    );
    this.#check('mount', result, target);
  }

  umount2(target: string, flags: number): void {
    this.#check('umount2', this.#libc.umount2(cString('umount2', target), flags), target);
  }

  openTree(directory: number, path: PathName, flags: number): number {
    const name = cString('open_tree', path);
    const result = this.#libc.openTree(SysOpenTree, directory, name, flags | Tree.CloseOnExec);
    return this.#check('open_tree', result, path);
  }

  moveMount(tree: number, place: number): void {
    const empty = cString('move_mount', '');
    const flags = MoveFromEmptyPath | MoveToEmptyPath;
    const result = this.#libc.moveMount(SysMoveMount, tree, empty, place, empty, flags);
    this.#check('move_mount', result);
  }

  mountSetattr(tree: number, { set, clear, propagation }: MountAttributes, recursive: boolean): void {
    const block = bytes(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd, each 64 bits
    block.writeBigUInt64LE(BigInt(set), 0);
    block.writeBigUInt64LE(BigInt(clear), 8);
    block.writeBigUInt64LE(BigInt(propagation), 16);
    const flags = At.EmptyPath | (recursive ? Tree.Recursive : 0);
    const empty = cString('mount_setattr', '');
    const result = this.#libc.mountSetattr(SysMountSetattr, tree, empty, flags, block, block.length);
    this.#check('mount_setattr', result);
  }

  setChildSubreaper(): void {
    this.#check('prctl(PR_SET_CHILD_SUBREAPER)', this.#libc.prctl(PrctlSetChildSubreaper, 1, 0, 0, 0));
  }

  waitpid(pid: number, options: number): Waited | undefined {
    const status = bytes(4);
    const found = this.#check('waitpid', this.#libc.waitpid(pid, status, options), `process ${pid}`);
    return found === 0 ? undefined : { pid: found, status: status.readInt32LE(0) };
  }

  kill(pid: number, signal: number): void {
    this.#check('kill', this.#libc.kill(pid, signal), `process ${pid}`);
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.#check('socket', this.#libc.socket(domain, type | Open.CloseOnExec, protocol));
  }

  socketpair(domain: number, type: number, protocol: number): readonly [number, number] {
    const fds = bytes(8);
    this.#check('socketpair', this.#libc.socketpair(domain, type | Open.CloseOnExec, protocol, fds));
    return [fds.readInt32LE(0), fds.readInt32LE(4)];
  }

  bind(fd: number, address: Uint8Array, label: string): void {
    this.#check('bind', this.#libc.bind(fd, address, address.length), label);
  }

  connect(fd: number, address: Uint8Array, label: string): void {
    this.#check('connect', this.#libc.connect(fd, address, address.length), label);
  }

  listen(fd: number, backlog: number): void {
    this.#check('listen', this.#libc.listen(fd, backlog));
  }

  accept4(fd: number, flags: number): number {
    return this.#check('accept4', this.#libc.accept4(fd, null, null, flags | Open.CloseOnExec));
  }

  socketError(fd: number): number {
    return this.#socketOption(fd, SoError, 4).readInt32LE(0);
  }

  peerAddress(fd: number): Uint8Array {
    const value = bytes(128); // struct sockaddr_storage
    const length = uint32(value.length);
    this.#check('getpeername', this.#libc.getpeername(fd, value, length));
    return value.subarray(0, length.readUInt32LE(0));
  }

  peerCredentials(fd: number): PeerCredentials {
    const value = this.#socketOption(fd, SoPeerCredentials, 12); // struct ucred
    return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
  }

  receiveDescriptors(fd: number): readonly number[] {
    // The sender must send at least one byte of data along; runc sends the terminal's name.
    const data = bytes(4096);
    const vector = bytes(16); // struct iovec
    vector.writeBigUInt64LE(this.#libc.address(data), 0);
    vector.writeBigUInt64LE(BigInt(data.length), 8);
    const control = bytes(controlHeader + maxReceived * 4);
    const message = bytes(56); // struct msghdr on 64 bits: name, namelen, iov, iovlen, control, controllen, flags
    message.writeBigUInt64LE(this.#libc.address(vector), 16);
    message.writeBigUInt64LE(1n, 24);
    message.writeBigUInt64LE(this.#libc.address(control), 32);
    message.writeBigUInt64LE(BigInt(control.length), 40);
    this.#check('recvmsg', this.#libc.recvmsg(fd, message, MsgDontWait | MsgCloseOnExec));
    const received = controlDescriptors(control.subarray(0, Number(message.readBigUInt64LE(40))));
    if ((message.readInt32LE(48) & MsgControlTruncated) !== 0) {
      for (const each of received) this.close(each);
      throw SyscallError.named('recvmsg', 'EMSGSIZE', `more than ${maxReceived} descriptors`);
    }
    return received;
  }

  setWindowSize(fd: number, rows: number, columns: number): void {
    const size = bytes(8); // struct winsize: rows, columns, and the size in pixels, which nobody uses
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    this.#check('ioctl(TIOCSWINSZ)', this.#libc.ioctl(fd, IoctlSetWindowSize, size));
  }

  drain(fd: number): void {
    this.#check('tcdrain', this.#libc.tcdrain(fd));
  }

  chroot(path: string): void {
    this.#check('chroot', this.#libc.chroot(cString('chroot', path)), path);
  }

  sethostname(name: string): void {
    const text = Buffer.from(name);
    this.#check('sethostname', this.#libc.sethostname(text, text.length), name);
  }

  setRealTime(seconds: bigint, nanoseconds: number): void {
    const time = bytes(16); // struct timespec
    time.writeBigInt64LE(seconds, 0);
    time.writeBigInt64LE(BigInt(nanoseconds), 8);
    this.#check('clock_settime', this.#libc.clockSettime(ClockRealTime, time), `${seconds} seconds`);
  }

  addEntropy(fd: number, data: Uint8Array): void {
    const pool = bytes(8 + data.length); // struct rand_pool_info: bits credited, bytes, the bytes
    pool.writeInt32LE(data.length * 8, 0);
    pool.writeInt32LE(data.length, 4);
    pool.set(data, 8);
    this.#check('ioctl(RNDADDENTROPY)', this.#libc.ioctl(fd, IoctlAddEntropy, pool));
  }

  reseedRandom(fd: number): void {
    this.#check('ioctl(RNDRESEEDCRNG)', this.#libc.ioctl(fd, IoctlReseedRandom, null));
  }

  eventfd(): number {
    return this.#check('eventfd', this.#libc.eventfd(0, Open.CloseOnExec | Open.NonBlock));
  }

  allocate(fd: number, offset: number, length: number): void {
    const result = this.#libc.fallocate(fd, FallocateKeepSize, offset, length);
    this.#check('fallocate', result, `${length} bytes at ${offset}`);
  }

  swapon(path: string): void {
    this.#check('swapon', this.#libc.swapon(cString('swapon', path), 0), path);
  }

  swapoff(path: string): void {
    this.#check('swapoff', this.#libc.swapoff(cString('swapoff', path)), path);
  }

  sync(): void {
    this.#libc.sync();
  }

  reboot(command: number): void {
    this.#check('reboot', this.#libc.reboot(command));
  }

  #socketOption(fd: number, option: number, size: number): Buffer {
    const value = bytes(size);
    const result = this.#libc.getsockopt(fd, SolSocket, option, value, uint32(size));
    this.#check('getsockopt', result, `option ${option}`);
    return value;
  }

  #check(syscall: string, result: number, about?: PathName): number {
    if (result < 0) throw this.#failure(syscall, about);
    return result;
  }

  /** Call it at once after the refused call: errno lives until the next one. */
  #failure(syscall: string, about?: PathName): SyscallError {
    return new SyscallError(syscall, this.#libc.errno(), about === undefined ? undefined : printable(about));
  }
}
