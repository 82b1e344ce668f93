import { Buffer } from 'node:buffer';
import { SyscallError } from './syscall-error.js';
import type { CapabilitySets, UnsharedNamespace } from './confinement-calls.js';
import type { FileTime, OpenHow } from './file-calls.js';
import type { XfsGeometry } from './machine-calls.js';
import type { MountAttributes, ThreadNamespace } from './mount-calls.js';
import type { PathName } from './koffi.js';
import type { Waited } from './process-calls.js';
import type { PeerCredentials } from './socket-calls.js';
import type { ProgramStart } from './spawn-call.js';
import type { Syscalls } from './syscalls.js';

/** A recorded call. Its arguments, without the name: `['proc', '/proc', 'proc', 0, '']`. */
export interface RecordedCall {
  readonly name: keyof Syscalls;
  readonly arguments: readonly unknown[];
}

/** Replaces the default result of a call. */
export type ScriptedCalls = { [Name in keyof Syscalls]?: Syscalls[Name] };

/**
 * A fake kernel that does nothing and records every call. Calls that return a descriptor count up from 1000, so that a
 * fake descriptor passed to a real close fails with EBADF and closes no real file; `openDescriptors` are those not
 * closed yet.
 *
 * On top of another kernel, usually the real one, it passes on calls that are not scripted: a real call can be counted,
 * or made to fail once.
 */
export class RecordingSyscalls implements Syscalls {
  readonly calls: RecordedCall[] = [];
  readonly openDescriptors: Set<number> = new Set();
  readonly #scripted: ScriptedCalls;
  readonly #underneath: Syscalls | undefined;
  #next = 1000;

  constructor(scripted: ScriptedCalls = {}, underneath?: Syscalls) {
    this.#scripted = { ...scripted };
    this.#underneath = underneath;
  }

  /** Replaces the result of this call from here on. */
  script<Name extends keyof Syscalls>(name: Name, call: Syscalls[Name]): void {
    this.#scripted[name] = call;
  }

  /** Makes this call fail from here on with an errno name, as `ENOENT`. */
  fail(name: keyof Syscalls, code: string): void {
    const refuse = (): never => {
      throw SyscallError.named(name, code);
    };
    this.script(name, refuse);
  }

  /** Returns the arguments of every call of that name, in order. */
  argumentsOf(name: keyof Syscalls): readonly (readonly unknown[])[] {
    return this.calls.filter((call) => call.name === name).map((call) => call.arguments);
  }

  pipe2(flags: number): readonly [read: number, write: number] {
    return this.#answer('pipe2', [flags], () => [this.#descriptor(), this.#descriptor()]);
  }

  setPipeSize(fd: number, bytes: number): number {
    return this.#answer('setPipeSize', [fd, bytes], () => bytes);
  }

  duplicate(fd: number): number {
    return this.#answer('duplicate', [fd], () => this.#descriptor());
  }

  dup3(from: number, to: number, flags: number): void {
    this.#answer('dup3', [from, to, flags], () => undefined);
  }

  setNonBlocking(fd: number): void {
    this.#answer('setNonBlocking', [fd], () => undefined);
  }

  tryLock(fd: number): boolean {
    return this.#answer('tryLock', [fd], () => true);
  }

  close(fd: number): void {
    this.#answer('close', [fd], () => {
      if (!this.openDescriptors.delete(fd)) throw SyscallError.named('close', 'EBADF', `descriptor ${fd}`);
    });
  }

  openat(directory: number, path: PathName, flags: number, mode?: number): number {
    return this.#answer('openat', [directory, path, flags, mode], () => this.#descriptor());
  }

  openat2(directory: number, path: PathName, how: OpenHow): number {
    return this.#answer('openat2', [directory, path, how], () => this.#descriptor());
  }

  mkdirat(directory: number, path: PathName, mode: number): void {
    this.#answer('mkdirat', [directory, path, mode], () => undefined);
  }

  unlinkat(directory: number, path: PathName, flags: number): void {
    this.#answer('unlinkat', [directory, path, flags], () => undefined);
  }

  symlinkat(target: PathName, directory: number, path: PathName): void {
    this.#answer('symlinkat', [target, directory, path], () => undefined);
  }

  linkat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName, flags: number): void {
    this.#answer('linkat', [fromDirectory, from, toDirectory, to, flags], () => undefined);
  }

  renameat(fromDirectory: number, from: PathName, toDirectory: number, to: PathName): void {
    this.#answer('renameat', [fromDirectory, from, toDirectory, to], () => undefined);
  }

  mknodat(directory: number, path: PathName, mode: number, device: number): void {
    this.#answer('mknodat', [directory, path, mode, device], () => undefined);
  }

  fchownat(directory: number, path: PathName, uid: number, gid: number, flags: number): void {
    this.#answer('fchownat', [directory, path, uid, gid, flags], () => undefined);
  }

  utimensat(directory: number, path: PathName, time: FileTime, flags: number): void {
    this.#answer('utimensat', [directory, path, time, flags], () => undefined);
  }

  fsetxattr(fd: number, name: PathName, value: Uint8Array): void {
    this.#answer('fsetxattr', [fd, name, value], () => undefined);
  }

  readDirectory(fd: number): readonly Uint8Array[] {
    return this.#answer('readDirectory', [fd], () => []);
  }

  unshare(namespaces: readonly UnsharedNamespace[]): void {
    this.#answer('unshare', [namespaces], () => undefined);
  }

  pivotRoot(root: string, old: string): void {
    this.#answer('pivotRoot', [root, old], () => undefined);
  }

  setResourceLimit(resource: number, limit: number): void {
    this.#answer('setResourceLimit', [resource, limit], () => undefined);
  }

  keepCapabilities(): void {
    this.#answer('keepCapabilities', [], () => undefined);
  }

  setCapabilities(sets: CapabilitySets): void {
    this.#answer('setCapabilities', [sets], () => undefined);
  }

  raiseAmbient(capability: number): void {
    this.#answer('raiseAmbient', [capability], () => undefined);
  }

  clearAmbient(): void {
    this.#answer('clearAmbient', [], () => undefined);
  }

  dropBounding(capability: number): boolean {
    return this.#answer('dropBounding', [capability], () => capability < 41);
  }

  endWithParent(): void {
    this.#answer('endWithParent', [], () => undefined);
  }

  noNewPrivileges(): void {
    this.#answer('noNewPrivileges', [], () => undefined);
  }

  seccomp(filter: Uint8Array): void {
    this.#answer('seccomp', [filter], () => undefined);
  }

  execute(program: string, argv: readonly string[], environment: readonly string[]): void {
    this.#answer('execute', [program, argv, environment], () => undefined);
  }

  mount(source: string, target: string, type: string, flags: number, data: string): void {
    this.#answer('mount', [source, target, type, flags, data], () => undefined);
  }

  umount2(target: string, flags: number): void {
    this.#answer('umount2', [target, flags], () => undefined);
  }

  openTree(directory: number, path: PathName, flags: number): number {
    return this.#answer('openTree', [directory, path, flags], () => this.#descriptor());
  }

  moveMount(tree: number, place: number): void {
    this.#answer('moveMount', [tree, place], () => undefined);
  }

  mountSetattr(tree: number, attributes: MountAttributes, recursive: boolean): void {
    this.#answer('mountSetattr', [tree, attributes, recursive], () => undefined);
  }

  unshareFs(): void {
    this.#answer('unshareFs', [], () => undefined);
  }

  setNamespace(fd: number, type: ThreadNamespace | 'mnt'): void {
    this.#answer('setNamespace', [fd, type], () => undefined);
  }

  isNamespaceOf(fd: number, type: ThreadNamespace | 'mnt'): boolean {
    return this.#answer('isNamespaceOf', [fd, type], () => true);
  }

  setChildSubreaper(): void {
    this.#answer('setChildSubreaper', [], () => undefined);
  }

  waitpid(pid: number, options: number): Waited | undefined {
    return this.#answer('waitpid', [pid, options], () => undefined);
  }

  endedChild(): number | undefined {
    return this.#answer('endedChild', [], () => undefined);
  }

  spawn(start: ProgramStart): number {
    return this.#answer('spawn', [start], () => this.#descriptor());
  }

  kill(pid: number, signal: number): void {
    this.#answer('kill', [pid, signal], () => undefined);
  }

  exitNow(code: number): void {
    this.#answer('exitNow', [code], () => undefined);
  }

  pidfdOpen(pid: number): number {
    return this.#answer('pidfdOpen', [pid], () => this.#descriptor());
  }

  pidfdStatus(descriptor: number): number | undefined {
    return this.#answer('pidfdStatus', [descriptor], () => undefined);
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.#answer('socket', [domain, type, protocol], () => this.#descriptor());
  }

  socketpair(domain: number, type: number, protocol: number): readonly [number, number] {
    return this.#answer('socketpair', [domain, type, protocol], () => [
      this.#descriptor(),
      this.#descriptor(),
    ]);
  }

  bind(fd: number, address: Uint8Array, label: string): void {
    this.#answer('bind', [fd, Buffer.from(address), label], () => undefined);
  }

  connect(fd: number, address: Uint8Array, label: string): void {
    this.#answer('connect', [fd, Buffer.from(address), label], () => undefined);
  }

  listen(fd: number, backlog: number): void {
    this.#answer('listen', [fd, backlog], () => undefined);
  }

  accept4(fd: number, flags: number): number {
    return this.#answer('accept4', [fd, flags], () => this.#descriptor());
  }

  setUserTimeout(fd: number, milliseconds: number): void {
    return this.#answer('setUserTimeout', [fd, milliseconds], () => undefined);
  }

  socketError(fd: number): number {
    return this.#answer('socketError', [fd], () => 0);
  }

  peerAddress(fd: number): Uint8Array {
    return this.#answer('peerAddress', [fd], () => new Uint8Array(2));
  }

  peerCredentials(fd: number): PeerCredentials {
    return this.#answer('peerCredentials', [fd], () => ({ pid: 1, uid: 0, gid: 0 }));
  }

  receiveDescriptors(fd: number): readonly number[] {
    return this.#answer('receiveDescriptors', [fd], () => [this.#descriptor()]);
  }

  ownAddress(fd: number): Uint8Array {
    return this.#answer('ownAddress', [fd], () => new Uint8Array(12));
  }

  setNetlinkOption(fd: number, option: number): void {
    this.#answer('setNetlinkOption', [fd, option], () => undefined);
  }

  send(fd: number, datagram: Uint8Array): void {
    this.#answer('send', [fd, Buffer.from(datagram)], () => undefined);
  }

  receive(fd: number, buffer: Buffer): number {
    return this.#answer('receive', [fd, buffer], () => 0);
  }

  setWindowSize(fd: number, rows: number, columns: number): void {
    this.#answer('setWindowSize', [fd, rows, columns], () => undefined);
  }

  drain(fd: number): void {
    this.#answer('drain', [fd], () => undefined);
  }

  unlockTerminal(master: number): void {
    this.#answer('unlockTerminal', [master], () => undefined);
  }

  terminalNumber(master: number): number {
    return this.#answer('terminalNumber', [master], () => 0);
  }

  chroot(path: string): void {
    this.#answer('chroot', [path], () => undefined);
  }

  sethostname(name: string): void {
    this.#answer('sethostname', [name], () => undefined);
  }

  setRealTime(seconds: bigint, nanoseconds: number): void {
    this.#answer('setRealTime', [seconds, nanoseconds], () => undefined);
  }

  addEntropy(fd: number, data: Uint8Array): void {
    this.#answer('addEntropy', [fd, Buffer.from(data)], () => undefined);
  }

  deviceMapper(fd: number, command: number, argument: Uint8Array): void {
    this.#answer('deviceMapper', [fd, command, argument], () => undefined);
  }

  flushBlockDevice(fd: number): void {
    this.#answer('flushBlockDevice', [fd], () => undefined);
  }

  growExt4(fd: number, blocks: bigint): void {
    this.#answer('growExt4', [fd, blocks], () => undefined);
  }

  xfsGeometry(fd: number): XfsGeometry {
    return this.#answer('xfsGeometry', [fd], () => ({ blockSize: 4096, blocks: 0n, inodePercent: 25 }));
  }

  growXfs(fd: number, blocks: bigint, inodePercent: number): void {
    this.#answer('growXfs', [fd, blocks, inodePercent], () => undefined);
  }

  reseedRandom(fd: number): void {
    this.#answer('reseedRandom', [fd], () => undefined);
  }

  eventfd(): number {
    return this.#answer('eventfd', [], () => this.#descriptor());
  }

  allocate(fd: number, offset: number, length: number): void {
    this.#answer('allocate', [fd, offset, length], () => undefined);
  }

  loadDeviceFilter(instructions: Uint8Array): number {
    return this.#answer('loadDeviceFilter', [instructions], () => this.#descriptor());
  }

  attachDeviceFilter(cgroup: number, filter: number): void {
    this.#answer('attachDeviceFilter', [cgroup, filter], () => undefined);
  }

  swapon(path: string): void {
    this.#answer('swapon', [path], () => undefined);
  }

  swapoff(path: string): void {
    this.#answer('swapoff', [path], () => undefined);
  }

  sync(): void {
    this.#answer('sync', [], () => undefined);
  }

  releaseFreedMemory(): void {
    this.#answer('releaseFreedMemory', [], () => undefined);
  }

  reboot(command: number): void {
    this.#answer('reboot', [command], () => undefined);
  }

  #descriptor(): number {
    this.openDescriptors.add(this.#next);
    return this.#next++;
  }

  #answer<Name extends keyof Syscalls>(
    name: Name,
    args: Parameters<Syscalls[Name]>,
    harmless: () => ReturnType<Syscalls[Name]>,
  ): ReturnType<Syscalls[Name]> {
    this.calls.push({ name, arguments: args.filter((argument) => argument !== undefined) });
    const kernel = this.#scripted[name] === undefined ? this.#underneath : this.#scripted;
    if (kernel === undefined) return harmless();
    const call = kernel[name] as (...args: Parameters<Syscalls[Name]>) => ReturnType<Syscalls[Name]>;
    return call.apply(kernel, args);
  }
}
