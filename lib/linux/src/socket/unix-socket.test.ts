import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import {
  connectUnix,
  formatUnixAddress,
  listenUnix,
  loadSyscalls,
  parseUnixAddress,
  peerOf,
  RecordingSyscalls,
  type UnixAddress,
} from '../index.js';
import { unixSocketAddress } from './unix-socket.js';

const syscalls = loadSyscalls();

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'unix-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function closed(server: Server): Promise<void> {
  const done = once(server, 'close');
  server.close();
  await done;
}

function echo(): Server {
  return createServer({ allowHalfOpen: true }, (stream) => stream.pipe(stream));
}

async function everything(stream: Socket): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** The name as in /proc/net/unix: `@` for the leading NUL, and one more `@` per NUL of padding. */
function abstractNames(): readonly string[] {
  return readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .map((line) => line.split(' ').at(-1) ?? '')
    .filter((name) => name.startsWith('@'));
}

test('a path: created with its mode, served, half-closed, removed at the end', async (context) => {
  const path = join(directory(context), 'socket');
  const before = descriptors();
  const server = echo();
  await listenUnix(syscalls, server, { kind: 'path', path }, { mode: 0o666 });
  assert.equal(statSync(path).mode & 0o7777, 0o666);
  const stream = await connectUnix(syscalls, { kind: 'path', path });
  stream.end('x'.repeat(1_000_000));
  assert.equal((await everything(stream)).length, 1_000_000);
  await closed(server);
  assert.equal(existsSync(path), false);
  assert.equal(descriptors(), before);
});

test('an abstract name has its exact length at both ends', async () => {
  const name = `kata-linux-test-${process.pid}`;
  const address = parseUnixAddress(`unix://@${name}`);
  const server = echo();
  await listenUnix(syscalls, server, address);
  assert.ok(abstractNames().includes(`@${name}`));
  const stream = await connectUnix(syscalls, address);
  stream.end('hello');
  assert.equal(await everything(stream), 'hello');
  await assert.rejects(connectUnix(syscalls, { kind: 'abstract', name: `${name}\0` }), {
    code: 'ECONNREFUSED',
  });
  await closed(server);
  await assert.rejects(connectUnix(syscalls, address), { code: 'ECONNREFUSED' });
});

test('peer credentials come from the kernel', async (context) => {
  const path = join(directory(context), 'socket');
  const server = createServer();
  await listenUnix(syscalls, server, { kind: 'path', path });
  const stream = await connectUnix(syscalls, { kind: 'path', path });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const expected = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
  assert.deepEqual(peerOf(syscalls, accepted), expected);
  accepted.destroy();
  assert.equal(peerOf(syscalls, accepted), undefined);
  stream.destroy();
  await closed(server);
});

test('the file of a dead listener is replaced, but not a live one or another file', async (context) => {
  const path = join(directory(context), 'socket');
  const address: UnixAddress = { kind: 'path', path };
  await assert.rejects(listenUnix(syscalls, closedOnListen(), address), /refused by the test/);
  assert.equal(existsSync(path), false, 'a failed listen leaves no file');

  // As after a crash: the file without a listener.
  const crashed = createServer();
  await listenUnix(syscalls, crashed, address);
  const inode = statSync(path).ino;
  const living = createServer();
  await assert.rejects(listenUnix(syscalls, living, address), { code: 'EADDRINUSE', path });
  assert.equal(statSync(path).ino, inode);
  crashed.removeAllListeners('close');
  await closed(crashed);
  assert.equal(existsSync(path), true);
  await listenUnix(syscalls, living, address);
  const stream = await connectUnix(syscalls, address);
  const [accepted] = (await once(living, 'connection')) as [Socket];
  accepted.destroy();
  stream.destroy();
  rmSync(path);
  writeFileSync(path, 'data');
  await closed(living);
  assert.equal(readFileSync(path, 'utf8'), 'data', 'closing removes its own file only');

  await assert.rejects(listenUnix(syscalls, createServer(), address), /exists and is not a socket/);
  assert.equal(readFileSync(path, 'utf8'), 'data');
});

/** A server whose listen fails. */
function closedOnListen(): Server {
  const server = createServer();
  server.listen = () => {
    queueMicrotask(() => server.emit('error', new Error('refused by the test')));
    return server;
  };
  return server;
}

test('failures leak no descriptor', async (context) => {
  const path = join(directory(context), 'socket');
  const address: UnixAddress = { kind: 'path', path };
  const before = descriptors();
  await assert.rejects(connectUnix(syscalls, address), { code: 'ENOENT' });
  await assert.rejects(listenUnix(syscalls, createServer(), { kind: 'path', path: join(path, 'x') }), {
    code: 'ENOENT',
  });
  await assert.rejects(listenUnix(syscalls, closedOnListen(), address), /refused by the test/);
  const failing = new RecordingSyscalls({}, syscalls);
  failing.fail('bind', 'EACCES');
  await assert.rejects(listenUnix(failing, createServer(), address), { code: 'EACCES' });
  failing.fail('connect', 'EACCES');
  await assert.rejects(connectUnix(failing, address), { code: 'EACCES' });
  assert.equal(descriptors(), before);
});

test('connecting waits for space in a full backlog', async (context) => {
  const path = join(directory(context), 'socket');
  const server = echo();
  await listenUnix(syscalls, server, { kind: 'path', path });
  const busy = new RecordingSyscalls({}, syscalls);
  busy.fail('connect', 'EAGAIN');
  const connecting = connectUnix(busy, { kind: 'path', path });
  busy.script('connect', (...call) => syscalls.connect(...call));
  const stream = await connecting;
  assert.equal(busy.argumentsOf('connect').length, 2);
  stream.destroy();
  await closed(server);
});

test('a hundred connections wait to be accepted, and none is refused', async (context) => {
  const path = join(directory(context), 'socket');
  const server = echo();
  await listenUnix(syscalls, server, { kind: 'path', path });
  const streams = await Promise.all(
    Array.from({ length: 100 }, () => connectUnix(syscalls, { kind: 'path', path })),
  );
  const answers = streams.map((stream, index) => {
    stream.end(String(index));
    return everything(stream);
  });
  assert.deepEqual(
    await Promise.all(answers),
    streams.map((_, index) => String(index)),
  );
  await closed(server);
});

test('Node’s own client connects to a path that listens here', async (context) => {
  const path = join(directory(context), 'socket');
  const server = echo();
  await listenUnix(syscalls, server, { kind: 'path', path });
  const stream = createConnection({ path, allowHalfOpen: true });
  stream.end('hello');
  assert.equal(await everything(stream), 'hello');
  await closed(server);
});

test('parses paths and abstract names', () => {
  assert.deepEqual(parseUnixAddress('unix:///run/kata/agent.sock'), {
    kind: 'path',
    path: '/run/kata/agent.sock',
  });
  assert.deepEqual(parseUnixAddress('unix://@kata/agent'), { kind: 'abstract', name: 'kata/agent' });
  assert.deepEqual(parseUnixAddress('unix://@@'), { kind: 'abstract', name: '@' });
});

test('rejects anything else, with text, reason and format in the message', () => {
  for (const [text, reason] of [
    ['', 'does not start with unix://'],
    ['unix:/run/a', 'does not start with unix://'],
    ['vsock://1:2', 'does not start with unix://'],
    ['unix://', 'has no name'],
    ['unix://@', 'has no name'],
    ['unix://run/a', 'not absolute'],
    ['unix:///a\0b', 'NUL'],
    [`unix:///${'a'.repeat(107)}`, 'has 108 bytes'],
    [`unix://@${'ä'.repeat(54)}`, 'has 108 bytes'],
  ] as const)
    assert.throws(
      () => parseUnixAddress(text),
      (error) =>
        error instanceof Error &&
        error.message.includes(reason) &&
        error.message.includes(JSON.stringify(text)) &&
        error.message.includes('expected unix://'),
      text,
    );
});

test('formatting and parsing are inverse', () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, fc.boolean(), (name, abstract) => {
      const address = abstract
        ? ({ kind: 'abstract', name } as const)
        : ({ kind: 'path', path: `/${name}` } as const);
      assert.deepEqual(parseUnixAddress(formatUnixAddress(address)), address);
    }),
  );
});

test('the encoded address is exactly as long as the name', () => {
  assert.deepEqual(
    [...unixSocketAddress({ kind: 'abstract', name: 'ab' })],
    [1, 0, 0, 'a'.charCodeAt(0), 'b'.charCodeAt(0)],
  );
  assert.deepEqual([...unixSocketAddress({ kind: 'path', path: '/a' })], [1, 0, 0x2f, 0x61, 0]);
  assert.equal(unixSocketAddress({ kind: 'path', path: `/${'a'.repeat(106)}` }).length, 110);
  assert.throws(() => unixSocketAddress({ kind: 'path', path: `/${'a'.repeat(107)}` }), /has 108 bytes/);
});
