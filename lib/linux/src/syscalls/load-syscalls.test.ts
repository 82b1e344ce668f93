import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { At, loadSyscalls, Open, Resolve, SyscallError, Wait } from '../index.js';
import { unixSocketAddress } from '../socket/unix-socket.js';

const kernel = loadSyscalls();

/** Opens a directory; returns the descriptor and the path. */
function directory(context: TestContext): { path: string; fd: number } {
  const path = mkdtempSync(join(tmpdir(), 'kernel-'));
  const fd = kernel.openat(At.Cwd, path, Open.Path | Open.Directory);
  context.after(() => {
    kernel.close(fd);
    rmSync(path, { recursive: true });
  });
  return { path, fd };
}

function fdFlags(fd: number): number {
  return Number.parseInt(
    /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0',
    8,
  );
}

test('pipes, duplicates and flags', () => {
  const before = readdirSync('/proc/self/fd').length;
  const [read, write] = kernel.pipe2(Open.CloseOnExec | Open.NonBlock);
  assert.throws(() => readSync(read, Buffer.alloc(1)), { code: 'EAGAIN' });
  const copy = kernel.duplicate(write);
  assert.ok((fdFlags(copy) & Open.CloseOnExec) !== 0);
  const [other, otherWrite] = kernel.pipe2(Open.CloseOnExec);
  assert.equal(fdFlags(other) & Open.NonBlock, 0);
  kernel.setNonBlocking(other);
  assert.notEqual(fdFlags(other) & Open.NonBlock, 0);
  kernel.dup3(read, other, Open.CloseOnExec);
  writeSync(copy, 'x');
  const buffer = Buffer.alloc(4);
  assert.equal(readSync(other, buffer), 1);
  assert.throws(() => kernel.dup3(read, read, 0), { code: 'EINVAL', syscall: 'dup3' });
  for (const fd of [read, write, copy, other, otherWrite]) kernel.close(fd);
  assert.throws(() => kernel.close(read), { code: 'EBADF', path: `descriptor ${read}` });
  assert.throws(() => kernel.setNonBlocking(read), { code: 'EBADF' });
  assert.throws(() => kernel.duplicate(read), { code: 'EBADF' });
  assert.throws(() => kernel.setPipeSize(read, 4096), { code: 'EBADF' });
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('files relative to a directory', (context) => {
  const { path, fd } = directory(context);
  const file = kernel.openat(fd, 'file', Open.WriteOnly | Open.Create | Open.Exclusive, 0o640);
  assert.ok((fdFlags(file) & Open.CloseOnExec) !== 0, 'close-on-exec without a request');
  assert.equal(fstatSync(file).mode & 0o7777, 0o640);
  kernel.close(file);
  kernel.mkdirat(fd, 'directory', 0o700);
  kernel.symlinkat('no/where', fd, 'directory/link');
  assert.equal(readlinkSync(join(path, 'directory/link')), 'no/where');
  kernel.linkat(fd, 'file', fd, 'second', 0);
  assert.equal(statSync(join(path, 'second')).nlink, 2);
  kernel.renameat(fd, 'second', fd, 'directory/third');
  assert.deepEqual(new Set(readdirSync(path)), new Set(['file', 'directory']));
  kernel.mknodat(fd, 'fifo', 0o010600, 0);
  assert.equal(lstatSync(join(path, 'fifo')).isFIFO(), true);
  kernel.fchownat(fd, 'file', -1, -1, 0);
  kernel.unlinkat(fd, 'fifo', 0);
  assert.throws(() => kernel.unlinkat(fd, 'directory', At.RemoveDirectory), { code: 'ENOTEMPTY' });
  for (const operation of [
    () => kernel.openat(fd, 'none', Open.ReadOnly),
    () => kernel.mkdirat(fd, 'none/x', 0o700),
    () => kernel.unlinkat(fd, 'none', 0),
    () => kernel.symlinkat('x', fd, 'none/x'),
    () => kernel.linkat(fd, 'none', fd, 'none/x', 0),
    () => kernel.renameat(fd, 'none', fd, 'none/x'),
    () => kernel.mknodat(fd, 'none/x', 0o010600, 0),
    () => kernel.fchownat(fd, 'none', 1, 1, 0),
    () => kernel.openat2(fd, 'none', { flags: Open.ReadOnly, resolve: 0 }),
  ])
    assert.throws(operation, (error) => error instanceof SyscallError && error.code === 'ENOENT');
});

test('openat2 applies the flags of its resolve', (context) => {
  const { path, fd } = directory(context);
  writeFileSync(join(path, 'file'), '');
  symlinkSync('file', join(path, 'link'));
  const made = kernel.openat2(fd, 'made', {
    flags: Open.ReadWrite | Open.Create,
    mode: 0o600,
    resolve: Resolve.Beneath,
  });
  assert.equal(fstatSync(made).mode & 0o7777, 0o600);
  assert.ok((fdFlags(made) & Open.CloseOnExec) !== 0);
  kernel.close(made);
  assert.throws(() => kernel.openat2(fd, 'link', { flags: Open.ReadOnly, resolve: Resolve.NoSymlinks }), {
    code: 'ELOOP',
    path: 'link',
  });
  assert.throws(() => kernel.openat2(fd, '../x', { flags: Open.ReadOnly, resolve: Resolve.Beneath }), {
    code: 'EXDEV',
  });
});

test('names that are not UTF-8 are passed as bytes, and a NUL is rejected', (context) => {
  const { path, fd } = directory(context);
  const name = Buffer.from([0x61, 0xff, 0x62]);
  kernel.mkdirat(fd, name, 0o700);
  assert.deepEqual(readdirSync(path, { encoding: 'buffer' }), [name]);
  assert.throws(() => kernel.mkdirat(fd, name, 0o700), { code: 'EEXIST', path: 'a\xffb' });
  for (const operation of [
    () => kernel.openat(fd, 'a\0b', Open.ReadOnly),
    () => kernel.mkdirat(fd, Buffer.from('a\0b'), 0o700),
    () => kernel.symlinkat('a\0b', fd, 'x'),
    () => kernel.mount('a\0', '/x', 'tmpfs', 0, ''),
    () => kernel.mount('a', '/x', 'tmpfs', 0, 'size=1\0'),
    () => kernel.umount2('/x\0', 0),
  ])
    assert.throws(operation, { code: 'EINVAL' });
  assert.equal(existsSync(join(path, 'a')), false);
});

test('large numbers are passed unchanged', (context) => {
  const { path, fd } = directory(context);
  const name = 'x'.repeat(255);
  kernel.mkdirat(fd, name, 0o700);
  chmodSync(join(path, name), 0o755);
  assert.throws(() => kernel.mkdirat(fd, `${name}x`, 0o700), { code: 'ENAMETOOLONG' });
  if (process.getuid?.() === 0) {
    kernel.fchownat(fd, name, 0xfffffffe, 0xfffffffd, 0);
    const { uid, gid } = statSync(join(path, name));
    assert.deepEqual([uid, gid], [0xfffffffe, 0xfffffffd]);
    kernel.fchownat(fd, name, -1, 5, 0);
    assert.equal(statSync(join(path, name)).uid, 0xfffffffe);
  }
  mkdirSync(join(path, 'after'));
});

test('processes that do not exist or are not children', () => {
  assert.throws(() => kernel.waitpid(process.ppid, Wait.NoHang), {
    code: 'ECHILD',
    path: `process ${process.ppid}`,
  });
  assert.throws(() => kernel.kill(0x3fffffff, 0), { code: 'ESRCH' });
  kernel.kill(process.pid, 0);
});

test('sockets', () => {
  const [one, two] = kernel.socketpair(1, 1, 0);
  assert.deepEqual(kernel.peerCredentials(one), {
    pid: process.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  });
  writeSync(two, 'plain data');
  assert.deepEqual(kernel.receiveDescriptors(one), []);
  assert.throws(() => kernel.receiveDescriptors(one), { code: 'EAGAIN', syscall: 'recvmsg' });
  assert.throws(() => kernel.bind(one, Uint8Array.of(99, 0, 1), 'nonsense'), {
    code: 'EINVAL',
    path: 'nonsense',
  });
  assert.throws(() => kernel.accept4(one, 0), { code: 'EINVAL' });
  const nobody = unixSocketAddress({ kind: 'path', path: '/nonexistent/socket' });
  assert.throws(() => kernel.connect(one, nobody, 'nobody'), { code: 'ENOENT', path: 'nobody' });
  assert.throws(() => kernel.setWindowSize(one, 24, 80), { code: 'ENOTTY' });
  for (const fd of [one, two]) kernel.close(fd);
  assert.throws(() => kernel.socket(9999, 1, 0), { code: 'EAFNOSUPPORT' });
  assert.throws(() => kernel.socketpair(9999, 1, 0), { code: 'EAFNOSUPPORT' });
  assert.throws(() => kernel.listen(one, 1), { code: 'EBADF' });
  assert.throws(() => kernel.peerCredentials(one), { code: 'EBADF' });
});

test('calls that would change the machine are rejected by the kernel here', () => {
  // A host name is at most 64 bytes, and this command of reboot(2) does not exist: both calls fail without effect.
  assert.throws(() => kernel.sethostname('x'.repeat(65)), {
    code: process.getuid?.() === 0 ? 'EINVAL' : 'EPERM',
  });
  assert.throws(() => kernel.reboot(0x12345), { code: process.getuid?.() === 0 ? 'EINVAL' : 'EPERM' });
  // tv_nsec is above its limit, the swap file does not exist, and the descriptors are not random devices.
  assert.throws(() => kernel.setRealTime(0n, 1_000_000_000), { code: 'EINVAL' });
  assert.throws(() => kernel.swapon('/nowhere'), { code: process.getuid?.() === 0 ? 'ENOENT' : 'EPERM' });
  assert.throws(() => kernel.swapoff('/nowhere'), { code: process.getuid?.() === 0 ? 'ENOENT' : 'EPERM' });
  assert.throws(() => kernel.addEntropy(0, Uint8Array.of(1)), /RNDADDENTROPY/);
  assert.throws(() => kernel.reseedRandom(0), /RNDRESEEDCRNG/);
  assert.throws(() => kernel.flushBlockDevice(0), /BLKFLSBUF/);
  assert.throws(() => kernel.growExt4(0, 1n), /EXT4_IOC_RESIZE_FS/);
  assert.throws(() => kernel.xfsGeometry(0), /XFS_IOC_FSGEOMETRY/);
  assert.throws(() => kernel.growXfs(0, 1n, 25), /XFS_IOC_FSGROWFSDATA/);
  assert.throws(() => kernel.deviceMapper(0, 0, new Uint8Array(312)), /device mapper/);
  kernel.sync();
  if (process.getuid?.() === 0) kernel.sethostname(hostname());
});

test('twenty thousand calls leak nothing and return correct results', () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let index = 0; index < 5_000; index++) {
    const [one, two] = kernel.socketpair(1, 1, 0);
    assert.equal(kernel.peerCredentials(one).pid, process.pid);
    kernel.close(one);
    kernel.close(two);
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
