import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  checkExchange,
  Cid,
  connectVsock,
  formatVsockAddress,
  listenVsock,
  parseVsockAddress,
  readVsockSocketAddress,
  RecordingSyscalls,
  vsockPeerOf,
  vsockSocketAddress,
} from '../index.js';
import { fakeVsock } from '../testing/fake-vsock.js';

const anywhere = { cid: 0xffff_ffff, port: 1024 };
const local = { cid: 1, port: 1024 };

function echo(): Server {
  return createServer({ allowHalfOpen: true }, (stream) => stream.pipe(stream));
}

async function everything(stream: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function closed(server: Server): Promise<void> {
  const done = once(server, 'close');
  server.close();
  await done;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('exchanged sockets at both ends: bytes, half-close, and no descriptor leak', async () => {
  const syscalls = fakeVsock(1);
  const before = descriptors();
  const server = echo();
  await listenVsock(syscalls, server, anywhere);
  const payload = Buffer.alloc(10 << 20, 'kata');
  const stream = await connectVsock(syscalls, local);
  stream.end(payload);
  assert.ok((await everything(stream)).equals(payload));
  await closed(server);
  assert.equal(descriptors(), before);
  assert.deepEqual(syscalls.argumentsOf('bind')[0]?.[2], 'vsock://-1:1024');
  assert.equal(syscalls.argumentsOf('listen')[0]?.[1], 4096);
});

test('closing frees the port, and a port in use is EADDRINUSE', async () => {
  const syscalls = fakeVsock(1);
  const before = descriptors();
  for (let round = 0; round < 3; round++) {
    const server = echo();
    await listenVsock(syscalls, server, anywhere);
    await assert.rejects(listenVsock(syscalls, createServer(), anywhere), { code: 'EADDRINUSE' });
    await closed(server);
  }
  await assert.rejects(connectVsock(syscalls, local), { code: 'ECONNREFUSED' });
  assert.equal(descriptors(), before);
});

test('a server that fails to listen leaks no descriptor', async () => {
  const before = descriptors();
  const server = createServer();
  server.listen = () => {
    queueMicrotask(() => server.emit('error', new Error('refused by the test')));
    return server;
  };
  await assert.rejects(listenVsock(fakeVsock(1), server, anywhere), /refused by the test/);
  assert.equal(descriptors(), before);
});

test('a failed exchange leaks neither a descriptor nor a server', async () => {
  const before = descriptors();
  const syscalls = fakeVsock(1);
  const server = echo();
  syscalls.fail('dup3', 'EBUSY');
  await assert.rejects(listenVsock(syscalls, server, anywhere), { code: 'EBUSY' });
  assert.ok(!server.listening);
  const other = fakeVsock(1);
  const good = echo();
  await listenVsock(other, good, anywhere);
  other.fail('dup3', 'EBUSY');
  await assert.rejects(connectVsock(other, local), { code: 'EBUSY' });
  await closed(good);
  for (let turns = 0; turns < 1000 && descriptors() > before; turns++) await new Promise(setImmediate);
  assert.equal(descriptors(), before);
});

test('the peer’s CID is known until the connection is closed', async () => {
  const syscalls = fakeVsock(3);
  const server = createServer();
  await listenVsock(syscalls, server, anywhere);
  const stream = await connectVsock(syscalls, local);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  assert.deepEqual(vsockPeerOf(syscalls, accepted), { cid: 3, port: 77 });
  accepted.destroy();
  assert.equal(vsockPeerOf(syscalls, accepted), undefined);
  stream.destroy();
  await closed(server);
});

test('a connection uses the requested source port', async () => {
  const syscalls = fakeVsock(1);
  const before = descriptors();
  const server = echo();
  await listenVsock(syscalls, server, anywhere);
  const stream = await connectVsock(syscalls, local, { from: 501 });
  assert.equal(syscalls.argumentsOf('bind').at(-1)?.[2], 'vsock://-1:501');
  await assert.rejects(connectVsock(syscalls, local, { from: 501 }), { code: 'EADDRINUSE' });
  stream.destroy();
  await closed(server);
  assert.equal(descriptors(), before);
});

test('a slow connection is awaited and can be aborted', async () => {
  const syscalls = fakeVsock(1);
  const server = echo();
  await listenVsock(syscalls, server, anywhere);
  const slow = new RecordingSyscalls({}, syscalls);
  let asked = 0;
  slow.script('connect', (...call) => {
    asked += 1;
    if (asked === 1) slow.fail('connect', 'EALREADY');
    syscalls.connect(...call);
    throw Object.assign(new Error('not yet'), { code: 'EINPROGRESS' });
  });
  const opening = connectVsock(slow, local);
  await new Promise(setImmediate);
  slow.fail('connect', 'EISCONN');
  const stream = await opening;
  stream.end('hello');
  assert.equal(String(await everything(stream)), 'hello');

  const never = new RecordingSyscalls({}, syscalls);
  never.fail('connect', 'EALREADY');
  await assert.rejects(connectVsock(never, local, { signal: AbortSignal.timeout(5) }), {
    name: 'AbortError',
  });
  await closed(server);
});

test('a connection that fails later reports SO_ERROR', async () => {
  const before = descriptors();
  const failing = new RecordingSyscalls({}, fakeVsock(1));
  failing.fail('connect', 'EINPROGRESS');
  failing.script('socketError', () => (failing.argumentsOf('connect').length === 0 ? 0 : 104));
  await assert.rejects(connectVsock(failing, local), { code: 'ECONNRESET', path: 'vsock://1:1024' });
  assert.equal(descriptors(), before);
});

test('the exchange is checked before it is used, and its failure is explained', async () => {
  const before = descriptors();
  const real = fakeVsock(1);
  await checkExchange(real, 60_000);
  // Simulates a Node.js release that adds the number to epoll at once: the exchange comes too late.
  const late = new RecordingSyscalls({ dup3: () => undefined }, real);
  await assert.rejects(checkExchange(late, 50), /Node\.js v.* cannot serve .* socat VSOCK-LISTEN:1024/s);
  // And one that hides the descriptor: every peer would be rejected without a reason.
  const mute = (): undefined => undefined;
  await assert.rejects(checkExchange(real, 60_000, mute), /Node\.js v.* does not expose the descriptor/);
  // The server's ends close after the client's.
  for (let turns = 0; turns < 1000 && descriptors() > before; turns++) await new Promise(setImmediate);
  assert.equal(descriptors(), before);
});

const word = fc.nat({ max: 0xffff_fffe });

const address = fc.record(
  { cid: fc.oneof(word, fc.constant(Cid.Any)), port: word.filter((port) => port > 0) },
  { noNullPrototype: true },
);

test('formatting and parsing are inverse, as text and as bytes', () => {
  fc.assert(
    fc.property(address, (one) => {
      assert.deepEqual(parseVsockAddress(formatVsockAddress(one)), one);
      assert.deepEqual(readVsockSocketAddress(vsockSocketAddress(one)), one);
    }),
  );
});

test('-1 is any context id', () => {
  assert.deepEqual(parseVsockAddress('vsock://-1:1024'), { cid: 0xffff_ffff, port: 1024 });
  assert.equal(formatVsockAddress({ cid: Cid.Any, port: 1 }), 'vsock://-1:1');
});

test('other texts are rejected, and the error has the format', () => {
  for (const text of ['', 'vsock://', 'vsock://2', 'vsock://2:', 'vsock://-2:1', 'unix:///a', ' vsock://2:1'])
    assert.throws(() => parseVsockAddress(text), /expected vsock:\/\/CID:PORT/, text);
  assert.throws(() => parseVsockAddress('vsock://4294967296:1'), /32 bits/);
  for (const port of ['0', '4294967295', '9999999999'])
    assert.throws(() => parseVsockAddress(`vsock://2:${port}`), /a port is from 1/, port);
});

test('struct sockaddr_vm matches the kernel’s', () => {
  assert.deepEqual(
    [...vsockSocketAddress({ cid: 2, port: 1024 })],
    [40, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
  );
  assert.equal(readVsockSocketAddress(Uint8Array.of(1, 0)), undefined);
  assert.equal(readVsockSocketAddress(new Uint8Array(16)), undefined, 'another family');
});
