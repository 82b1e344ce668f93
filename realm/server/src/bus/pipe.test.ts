import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  decodeFrame,
  encodeFrame,
  Pipe,
  type PipeEnd,
  type PipeLimits,
  type PipeTransport,
  UnreadBytes,
} from './pipe.js';

const limits: PipeLimits = { chunkBytes: 1_000, windowBytes: 4_000, aliveMs: 20, deadMs: 60_000 };
/** For what is about silence: elsewhere a machine that pauses the process so long would end the pipes. */
const impatient: PipeLimits = { ...limits, deadMs: 100 };

// The timers of pipes keep no process alive.
const alive = setInterval(() => undefined, 1_000);
after(() => clearInterval(alive));

interface Setup {
  readonly a: Pipe;
  readonly b: Pipe;
  /** Frames that were sent to each end. */
  readonly sent: Record<PipeEnd, Uint8Array[]>;
  readonly drop: (end: PipeEnd, which: (frame: Uint8Array) => boolean) => void;
}

function pair(of: PipeLimits = limits): Setup {
  const receivers = new Map<PipeEnd, (bytes: Uint8Array) => void>();
  const sent: Setup['sent'] = { a: [], b: [] };
  const dropped = new Map<PipeEnd, (frame: Uint8Array) => boolean>();
  const transport: PipeTransport = {
    send: (_pipe, end, bytes) => {
      sent[end].push(bytes);
      if (dropped.get(end)?.(bytes) !== true) setImmediate(() => receivers.get(end)?.(bytes));
    },
    receive: (_pipe, end, onBytes) => {
      receivers.set(end, onBytes);
      return () => void receivers.delete(end);
    },
  };
  const a = new Pipe(transport, 'ab', 'a', of);
  const b = new Pipe(transport, 'ab', 'b', of);
  b.hello();
  return { a, b, sent, drop: (end, which) => void dropped.set(end, which) };
}

function errorOf(pipe: Pipe): Promise<string> {
  if (pipe.errored !== null) return Promise.resolve(pipe.errored.message);
  return new Promise((resolve) => pipe.once('error', (error) => resolve(error.message)));
}

test('bytes arrive in order, at the pace of the reader, and no more than the window is on its way', async () => {
  const { a, b, sent } = pair();
  await a.opened;
  const bytes = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251));
  a.end(bytes);
  await delay(30);
  const waiting = sent.b.map((frame) => decodeFrame(frame)).filter((frame) => frame?.kind === 'data');
  assert.equal(
    waiting.reduce((sum, frame) => sum + (frame?.kind === 'data' ? frame.bytes.length : 0), 0),
    limits.windowBytes,
  );
  const read: Buffer[] = [];
  b.on('data', (chunk: Buffer) => {
    read.push(chunk);
    b.pause();
    setImmediate(() => b.resume());
  });
  await once(b, 'end');
  assert.deepEqual(Buffer.concat(read), bytes);
  b.end('answer');
  assert.equal(String((await once(a, 'data'))[0]), 'answer');
  await Promise.all([a, b].map((pipe) => (pipe.closed ? Promise.resolve() : once(pipe, 'close'))));
  assert.equal(a.errored, null);
  assert.equal(b.errored, null);
});

test('a lost frame ends the pipe, also if no other follows', async () => {
  for (const [count, text] of [
    [1, 'one'],
    [3, 'of several'],
  ] as const) {
    const { a, b, drop } = pair();
    await a.opened;
    let lost = false;
    drop('b', (frame) => {
      const drops = !lost && decodeFrame(frame)?.kind === 'data';
      lost ||= drops;
      return drops;
    });
    b.resume();
    const [atB, atA] = [errorOf(b), errorOf(a)];
    for (let each = 0; each < count; each += 1) a.write(text);
    assert.equal(await atB, 'bytes of the pipe were lost');
    assert.match(await atA, /the other end of the pipe has ended: bytes of the pipe were lost/);
  }
});

test('an end from which nothing is heard is dead; one that is closed says so', async () => {
  const silent = pair(impatient);
  await silent.a.opened;
  const dead = errorOf(silent.a);
  silent.drop('a', () => true);
  silent.drop('b', () => true);
  assert.equal(await dead, 'nothing is heard from the other end of the pipe');
  silent.b.destroy();
  const closed = pair();
  await closed.a.opened;
  const told = errorOf(closed.a);
  closed.b.destroy();
  assert.match(await told, /the connection was closed/);
});

test('an end that another replica has asked for and does not use is dead', async () => {
  const transport: PipeTransport = { send: () => undefined, receive: () => () => undefined };
  const waited = performance.now();
  assert.equal(
    await errorOf(new Pipe(transport, 'ab', 'b', impatient)),
    'nothing is heard from the other end of the pipe',
  );
  assert.ok(performance.now() - waited >= impatient.deadMs);
  // Its creator waits for the other one, with a time limit of its own.
  const waiting = new Pipe(transport, 'ab', 'a', impatient);
  await delay(2 * impatient.deadMs);
  assert.equal(waiting.destroyed, false);
  waiting.destroy();
});

test('invalid frames, and bytes beyond the window, end the pipe', async () => {
  const receivers = new Map<PipeEnd, (bytes: Uint8Array) => void>();
  const transport: PipeTransport = {
    send: () => undefined,
    receive: (_pipe, end, onBytes) => {
      receivers.set(end, onBytes);
      return () => undefined;
    },
  };
  const send = async (frames: readonly Buffer[]): Promise<string> => {
    const pipe = new Pipe(transport, 'ab', 'a', limits);
    const error = errorOf(pipe);
    for (const frame of frames) receivers.get('a')?.(frame);
    return await error;
  };
  const head = Buffer.alloc(9);
  assert.match(await send([Buffer.alloc(3)]), /cannot be read/);
  assert.match(await send([Buffer.from([9, ...Buffer.alloc(8)])]), /cannot be read/);
  assert.match(await send([Buffer.concat([head, Buffer.alloc(4_001)])]), /ignores its window/);
  assert.match(await send([head]), /sends data that none sends/);
  const end = encodeFrame({ kind: 'end', index: 0 });
  assert.match(await send([end, encodeFrame({ kind: 'end', index: 1 })]), /has ended twice/);
  const after = encodeFrame({ kind: 'data', index: 1, bytes: Buffer.from('x') });
  assert.match(await send([end, after]), /sends data that none sends/);
  // Sent again, and out of order.
  const first = encodeFrame({ kind: 'data', index: 0, bytes: Buffer.from('x') });
  assert.match(await send([first, first]), /were lost/);
  assert.match(await send([after]), /were lost/);
});

function read(unread: UnreadBytes): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk = unread.take(); chunk !== undefined; chunk = unread.take()) chunks.push(chunk);
  assert.equal(unread.size, 0);
  return Buffer.concat(chunks);
}

test('single bytes take few chunks, and all bytes keep their order', () => {
  const unread = new UnreadBytes();
  for (let index = 0; index < 262_144; index += 1) unread.add(Buffer.from([index % 251]));
  assert.equal(unread.size, 262_144);
  assert.ok(unread.chunks < 40, String(unread.chunks));
  assert.deepEqual(read(unread), Buffer.from(Array.from({ length: 262_144 }, (_, index) => index % 251)));
});

test('chunks of any sizes are few, and none is larger than it must be', () => {
  for (const size of [
    (index: number) => 1 + (index % 7),
    // Each smaller than the one before.
    (index: number) => 700 - (index % 700),
    (index: number) => (index % 2 === 0 ? 1 : 65_536),
    (index: number) => 1 + ((index * 7_919) % 4_096),
  ]) {
    const unread = new UnreadBytes();
    const all: Buffer[] = [];
    for (let index = 0; unread.size < 262_144 - 65_536; index += 1) {
      const bytes = Buffer.alloc(size(index), index % 253);
      all.push(bytes);
      unread.add(bytes);
    }
    assert.ok(unread.chunks < 800, String(unread.chunks));
    assert.deepEqual(read(unread), Buffer.concat(all));
  }
});
