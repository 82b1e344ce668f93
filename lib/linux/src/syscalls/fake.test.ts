import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSyscalls, RecordingSyscalls, SyscallError, type Syscalls } from '../index.js';

/** One call of each, with the name of the property. */
const everyCall: { readonly [Name in keyof Syscalls]: (kernel: Syscalls) => unknown } = {
  pipe2: (kernel) => kernel.pipe2(0),
  setPipeSize: (kernel) => kernel.setPipeSize(3, 4096),
  duplicate: (kernel) => kernel.duplicate(3),
  dup3: (kernel) => kernel.dup3(3, 4, 0),
  tryLock: (kernel) => kernel.tryLock(3),
  setNonBlocking: (kernel) => kernel.setNonBlocking(3),
  close: (kernel) => kernel.close(kernel.socket(1, 1, 0)),
  openat: (kernel) => kernel.openat(-100, 'a', 0),
  openat2: (kernel) => kernel.openat2(-100, 'a', { flags: 0, resolve: 0 }),
  mkdirat: (kernel) => kernel.mkdirat(3, 'a', 0o700),
  unlinkat: (kernel) => kernel.unlinkat(3, 'a', 0),
  symlinkat: (kernel) => kernel.symlinkat('a', 3, 'b'),
  linkat: (kernel) => kernel.linkat(3, 'a', 3, 'b', 0),
  renameat: (kernel) => kernel.renameat(3, 'a', 3, 'b'),
  mknodat: (kernel) => kernel.mknodat(3, 'a', 0o010600, 0),
  fchownat: (kernel) => kernel.fchownat(3, 'a', 1, 2, 0),
  utimensat: (kernel) => kernel.utimensat(3, 'a', { seconds: 1, nanoseconds: 2 }, 0),
  fsetxattr: (kernel) => kernel.fsetxattr(3, 'user.a', Uint8Array.of(1)),
  readDirectory: (kernel) => kernel.readDirectory(3),
  unshare: (kernel) => kernel.unshare(['mnt']),
  pivotRoot: (kernel) => kernel.pivotRoot('.', '.'),
  setResourceLimit: (kernel) => kernel.setResourceLimit(7, 64),
  keepCapabilities: (kernel) => kernel.keepCapabilities(),
  setCapabilities: (kernel) => kernel.setCapabilities({ effective: [0], permitted: [0], inheritable: [] }),
  raiseAmbient: (kernel) => kernel.raiseAmbient(0),
  clearAmbient: (kernel) => kernel.clearAmbient(),
  dropBounding: (kernel) => kernel.dropBounding(63),
  endWithParent: (kernel) => kernel.endWithParent(),
  noNewPrivileges: (kernel) => kernel.noNewPrivileges(),
  seccomp: (kernel) => kernel.seccomp(new Uint8Array(8)),
  execute: (kernel) => kernel.execute('/a', ['a'], []),
  mount: (kernel) => kernel.mount('a', '/b', 'tmpfs', 0, ''),
  umount2: (kernel) => kernel.umount2('/b', 0),
  openTree: (kernel) => kernel.openTree(3, '', 1),
  moveMount: (kernel) => kernel.moveMount(3, 4),
  mountSetattr: (kernel) => kernel.mountSetattr(3, { set: 1, clear: 0, propagation: 0 }, true),
  unshareFs: (kernel) => kernel.unshareFs(),
  setNamespace: (kernel) => kernel.setNamespace(3, 'mnt'),
  isNamespaceOf: (kernel) => kernel.isNamespaceOf(3, 'net'),
  setChildSubreaper: (kernel) => kernel.setChildSubreaper(),
  waitpid: (kernel) => kernel.waitpid(70, 1),
  endedChild: (kernel) => kernel.endedChild(),
  kill: (kernel) => kernel.kill(70, 9),
  spawn: (kernel) =>
    kernel.spawn({
      program: '/a',
      arguments: [],
      environment: {},
      directory: '/',
      stdio: [undefined, undefined, undefined],
    }),
  exitNow: (kernel) => kernel.exitNow(0),
  pidfdOpen: (kernel) => kernel.pidfdOpen(70),
  pidfdStatus: (kernel) => kernel.pidfdStatus(3),
  socket: (kernel) => kernel.socket(1, 1, 0),
  socketpair: (kernel) => kernel.socketpair(1, 1, 0),
  bind: (kernel) => kernel.bind(3, Uint8Array.of(1, 0), 'a'),
  connect: (kernel) => kernel.connect(3, Uint8Array.of(1, 0), 'a'),
  listen: (kernel) => kernel.listen(3, 1),
  accept4: (kernel) => kernel.accept4(3, 0),
  setUserTimeout: (kernel) => kernel.setUserTimeout(3, 1),
  socketError: (kernel) => kernel.socketError(3),
  peerAddress: (kernel) => kernel.peerAddress(3),
  peerCredentials: (kernel) => kernel.peerCredentials(3),
  receiveDescriptors: (kernel) => kernel.receiveDescriptors(3),
  ownAddress: (kernel) => kernel.ownAddress(3),
  setNetlinkOption: (kernel) => kernel.setNetlinkOption(3, 11),
  send: (kernel) => kernel.send(3, Uint8Array.of(1)),
  receive: (kernel) => kernel.receive(3, Buffer.alloc(1)),
  setWindowSize: (kernel) => kernel.setWindowSize(3, 24, 80),
  drain: (kernel) => kernel.drain(1),
  unlockTerminal: (kernel) => kernel.unlockTerminal(3),
  terminalNumber: (kernel) => kernel.terminalNumber(3),
  chroot: (kernel) => kernel.chroot('/a'),
  setRealTime: (kernel) => kernel.setRealTime(1n, 0),
  addEntropy: (kernel) => kernel.addEntropy(3, Uint8Array.of(1)),
  allocate: (kernel) => kernel.allocate(3, 0, 4096),
  flushBlockDevice: (kernel) => kernel.flushBlockDevice(3),
  growExt4: (kernel) => kernel.growExt4(3, 1n),
  xfsGeometry: (kernel) => void kernel.xfsGeometry(3),
  growXfs: (kernel) => kernel.growXfs(3, 1n, 25),
  reseedRandom: (kernel) => kernel.reseedRandom(3),
  deviceMapper: (kernel) => kernel.deviceMapper(3, 0, new Uint8Array(312)),
  loadDeviceFilter: (kernel) => kernel.loadDeviceFilter(new Uint8Array(8)),
  attachDeviceFilter: (kernel) => kernel.attachDeviceFilter(3, 4),
  eventfd: (kernel) => kernel.eventfd(),
  swapon: (kernel) => kernel.swapon('/dev/a'),
  swapoff: (kernel) => kernel.swapoff('/dev/a'),
  sethostname: (kernel) => kernel.sethostname('a'),
  sync: (kernel) => kernel.sync(),
  releaseFreedMemory: (kernel) => kernel.releaseFreedMemory(),
  reboot: (kernel) => kernel.reboot(0),
};

test('every call is recorded under its name, and every call can be made to fail', () => {
  for (const [name, call] of Object.entries(everyCall) as [keyof Syscalls, (kernel: Syscalls) => unknown][]) {
    const fake = new RecordingSyscalls();
    call(fake);
    assert.equal(fake.calls.at(-1)?.name, name);
    fake.fail(name, 'EPERM');
    assert.throws(() => call(fake), { code: 'EPERM', syscall: name });
    assert.equal(fake.argumentsOf(name).length, 2);
  }
});

test('descriptors count up, and open ones are reported', () => {
  const fake = new RecordingSyscalls();
  const [read, write] = fake.pipe2(0);
  const socket = fake.socket(1, 1, 0);
  assert.deepEqual([read, write, socket], [1000, 1001, 1002]);
  fake.close(write);
  assert.deepEqual([...fake.openDescriptors], [1000, 1002]);
  assert.throws(() => fake.close(write), { code: 'EBADF' });
});

test('a script gets the arguments of its call, and its value is the result', () => {
  const fake = new RecordingSyscalls({ waitpid: (pid) => ({ pid, status: 256 }) });
  assert.deepEqual(fake.waitpid(70, 1), { pid: 70, status: 256 });
  fake.script('waitpid', () => undefined);
  assert.equal(fake.waitpid(70, 1), undefined);
  assert.deepEqual(fake.argumentsOf('waitpid'), [
    [70, 1],
    [70, 1],
  ]);
});

test('over the real kernel, calls without a script are real', () => {
  const over = new RecordingSyscalls({}, loadSyscalls());
  const [read, write] = over.pipe2(0);
  assert.ok(read < 1000);
  over.close(read);
  over.fail('close', 'EIO');
  assert.throws(() => over.close(write), SyscallError);
  loadSyscalls().close(write);
  assert.deepEqual(
    over.calls.map(({ name }) => name),
    ['pipe2', 'close', 'close'],
  );
});
