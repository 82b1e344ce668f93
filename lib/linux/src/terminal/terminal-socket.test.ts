import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createPipe, closePipe, loadSyscalls, Open, RecordingSyscalls, TerminalSocket } from '../index.js';
import { sendDescriptors } from '../testing/send-descriptors.js';
import { unixSocketAddress } from '../socket/unix-socket.js';

const syscalls = loadSyscalls();

function listen(context: TestContext): { socket: TerminalSocket; parent: string } {
  const parent = mkdtempSync(join(tmpdir(), 'console-'));
  const socket = TerminalSocket.listen(syscalls, parent);
  const before = readdirSync('/proc/self/fd').length - 1;
  context.after(() => {
    socket.close();
    socket.close();
    assert.deepEqual(readdirSync(parent), []);
    assert.equal(readdirSync('/proc/self/fd').length, before, 'a descriptor was left open');
    rmSync(parent, { recursive: true });
  });
  return { socket, parent };
}

/** Sends descriptors like an OCI runtime. */
function send(path: string, fds: readonly number[]): void {
  const fd = syscalls.socket(1, 1, 0);
  syscalls.connect(fd, unixSocketAddress({ kind: 'path', path }), path);
  sendDescriptors(fd, fds);
  syscalls.close(fd);
}

test('a sent descriptor is received with close-on-exec', (context) => {
  const { socket } = listen(context);
  assert.equal(statSync(dirname(socket.path)).mode & 0o777, 0o700);
  const pipe = createPipe(syscalls);
  send(socket.path, [pipe.write.fd]);
  const received = socket.receive();
  assert.notEqual(received.fd, pipe.write.fd);
  assert.equal(statSync(`/proc/self/fd/${received.fd}`).ino, statSync(`/proc/self/fd/${pipe.write.fd}`).ino);
  received.close();
  closePipe(pipe);
});

test('no descriptor, no connection, and too many descriptors are errors that leak nothing', (context) => {
  const { socket } = listen(context);
  assert.throws(() => socket.receive(), /sent no terminal/);
  send(socket.path, []);
  assert.throws(() => socket.receive(), /sent 0 descriptors .* not one/);
  const pipe = createPipe(syscalls);
  send(socket.path, [pipe.read.fd, pipe.write.fd]);
  assert.throws(() => socket.receive(), /sent 2 descriptors .* not one/);
  send(
    socket.path,
    Array.from({ length: 9 }, () => pipe.read.fd),
  );
  assert.throws(() => socket.receive(), { code: 'EMSGSIZE' });
  closePipe(pipe);
});

test('received descriptors have the close-on-exec flag', () => {
  const [ours, theirs] = syscalls.socketpair(1, 1, 0);
  const pipe = createPipe(syscalls);
  sendDescriptors(theirs, [pipe.read.fd, pipe.write.fd]);
  const received = syscalls.receiveDescriptors(ours);
  assert.equal(received.length, 2);
  assert.throws(() => syscalls.receiveDescriptors(ours), { code: 'EAGAIN' });
  closePipe(pipe);
  for (const fd of [...received, ours, theirs]) {
    assert.ok(closesOnExec(fd));
    syscalls.close(fd);
  }
});

function closesOnExec(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
  return (Number.parseInt(flags, 8) & Open.CloseOnExec) !== 0;
}

test('a directory too deep for a socket’s path is an error that leaks nothing', (context) => {
  const parent = mkdtempSync(join(tmpdir(), 'console-'));
  context.after(() => rmSync(parent, { recursive: true }));
  const deep = join(parent, 'd'.repeat(100));
  mkdirSync(deep);
  const before = readdirSync('/proc/self/fd').length;
  assert.throws(() => TerminalSocket.listen(syscalls, deep), /the kernel's limit of 107/);
  assert.equal(readdirSync('/proc/self/fd').length, before);
  assert.deepEqual(readdirSync(deep), []);
});

test('other errors of accept are passed on', () => {
  const fake = new RecordingSyscalls();
  fake.fail('accept4', 'EMFILE');
  const parent = mkdtempSync(join(tmpdir(), 'console-'));
  const socket = TerminalSocket.listen(fake, parent);
  assert.throws(() => socket.receive(), { code: 'EMFILE' });
  socket.close();
  rmSync(parent, { recursive: true });
  assert.equal(fake.openDescriptors.size, 0);
});
