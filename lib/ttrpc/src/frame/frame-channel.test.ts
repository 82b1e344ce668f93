import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import { turn } from '../demo-server.test.fixture.js';
import { FrameChannel, Hold } from './frame-channel.js';
import type { Frame, OversizedFrame } from './frame.js';
import { completeLimits, type Limits } from '../limits.js';
import { streamPair, type MemoryStream } from '../memory-stream.test.fixture.js';
import { rawFrame } from '../raw-peer.test.fixture.js';

/** Keeps the process alive: memory streams have no handle that would while a timer is pending. */
const alive = setInterval(() => undefined, 1000);
after(() => clearInterval(alive));

/** More than the high-water mark of a stream: 16 KiB in Node.js 20, 64 KiB from 22 on. */
const moreThanBuffered = 200_000;

class Recorder {
  readonly frames: Frame[] = [];
  readonly violations: string[] = [];
  readonly lost: Promise<Error | undefined>;
  declared: OversizedFrame | undefined;
  onFrame: (frame: Frame) => void = () => undefined;
  #resolve: (error: Error | undefined) => void = () => undefined;

  constructor() {
    this.lost = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  owner = {
    frame: (frame: Frame): void => {
      this.frames.push(frame);
      this.onFrame(frame);
    },
    oversized: (frame: OversizedFrame): void => {
      this.declared = frame;
    },
    violation: (message: string): void => {
      this.violations.push(message);
    },
    lost: (error: Error | undefined): void => this.#resolve(error),
  };
}

function open(limits: Partial<Limits> = {}): {
  channel: FrameChannel;
  recorder: Recorder;
  near: MemoryStream;
  far: MemoryStream;
} {
  const [near, far] = streamPair();
  const recorder = new Recorder();
  const channel = new FrameChannel(near, completeLimits(limits), recorder.owner);
  far.on('error', () => undefined);
  return { channel, recorder, near, far };
}

function payload(size: number) {
  return { head: new Uint8Array(size), tail: undefined, length: size };
}

test('frames of one tick leave in one write; a lone frame leaves at once', async () => {
  const { channel, near } = open();
  channel.send(1, 2, 0, payload(3), 0, undefined, true);
  assert.equal(near.writes, 1);
  await turn();
  for (let id = 3; id < 100; id += 2) channel.send(id, 2, 0, payload(3));
  assert.equal(near.writes, 1);
  await turn();
  assert.equal(near.writes, 2);
  channel.destroy();
});

test('large output is written before the tick ends', () => {
  const { channel, near } = open();
  channel.send(1, 2, 0, payload(300_000));
  assert.equal(near.writes, 1);
  channel.destroy();
});

test('a peer that does not read stops our reading until it reads again', async () => {
  const { channel, recorder, near, far } = open({ writeBufferBytes: 40_000 });
  recorder.onFrame = (frame) => channel.send(frame.streamId, 2, 0, payload(30_000));
  for (let id = 1; id < 400; id += 2) far.write(rawFrame(id, 1, 0, new Uint8Array(1000)));
  for (let count = 0; count < 20; count++) await turn();
  const heldAt = recorder.frames.length;
  assert.ok(heldAt < 200, `${heldAt} of 200 frames were read`);
  assert.ok(near.isPaused());
  const received = { bytes: 0 };
  far.on('data', (chunk: Buffer) => {
    received.bytes += chunk.length;
  });
  while (recorder.frames.length < 200) await turn();
  while (received.bytes < 200 * 30_010) await turn();
  channel.destroy();
});

test('senders wait until the peer has taken the written bytes', async () => {
  const { channel, far } = open({ writeBufferBytes: 40_000 });
  assert.equal(channel.drained(), undefined);
  channel.send(1, 3, 0, payload(moreThanBuffered));
  const drained = channel.drained();
  assert.ok(drained);
  far.resume();
  await drained;
  assert.equal(channel.drained(), undefined);
  channel.destroy();
});

test('senders are released when the channel closes', async () => {
  const { channel } = open({ writeBufferBytes: 10 });
  channel.send(1, 3, 0, payload(moreThanBuffered));
  const drained = channel.drained();
  assert.ok(drained);
  channel.destroy();
  await drained;
  assert.equal(channel.drained(), undefined);
  channel.send(1, 3, 0, payload(1));
});

test('a limit below the stream’s own buffer does not stall', async () => {
  const { channel, far } = open({ writeBufferBytes: 1 });
  channel.send(1, 3, 0, payload(100));
  assert.equal(channel.drained(), undefined);
  far.resume();
  await turn();
  channel.destroy();
});

test('no frame is delivered while reading is held; afterwards all are, in order', async () => {
  const { channel, recorder, far } = open();
  channel.hold(Hold.Streams);
  for (let id = 1; id < 20; id += 2) far.write(rawFrame(id, 1, 0, Uint8Array.of(id)));
  await turn();
  await turn();
  assert.equal(recorder.frames.length, 0);
  channel.release(Hold.Writes);
  channel.release(Hold.Streams);
  while (recorder.frames.length < 10) await turn();
  assert.deepEqual(
    recorder.frames.map(({ streamId }) => streamId),
    [1, 3, 5, 7, 9, 11, 13, 15, 17, 19],
  );
  channel.destroy();
});

test('many frames in one chunk do not starve other connections', async () => {
  const { channel, recorder, far } = open();
  let othersTurn = 0;
  recorder.onFrame = () => {
    if (recorder.frames.length === 1) setImmediate(() => (othersTurn = recorder.frames.length));
  };
  const frames = Array.from({ length: 1000 }, (_, index) => rawFrame(2 * index + 1, 1, 0, Uint8Array.of(1)));
  far.write(Buffer.concat(frames));
  while (recorder.frames.length < 1000) await turn();
  assert.ok(othersTurn > 0 && othersTurn < 1000, `the others' turn came after ${othersTurn} frames`);
  channel.destroy();
});

test('a frame that has begun must end within the timeout', async () => {
  const { recorder, far } = open({ frameTimeoutMs: 20 });
  far.write(rawFrame(1, 1, 0, Uint8Array.of(1, 2, 3)).subarray(0, 12));
  await recorder.lost;
  assert.deepEqual(recorder.violations, ['a frame did not end within 20 ms']);
});

test('trickling bytes do not extend the timeout', async () => {
  const { recorder, far } = open({ frameTimeoutMs: 30 });
  const bytes = rawFrame(1, 1, 0, new Uint8Array(100_000));
  let at = 0;
  const trickle = setInterval(() => far.write(bytes.subarray(at, ++at)), 5);
  await recorder.lost;
  clearInterval(trickle);
  assert.equal(recorder.frames.length, 0);
  assert.equal(recorder.violations.length, 1);
});

test('each frame has its own timeout', async (context) => {
  // Mocked timers keep the test independent of the machine's load.
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = performance.now();
  context.mock.method(performance, 'now', () => now);
  const pass = (ms: number): void => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  const { channel, recorder, far } = open({ frameTimeoutMs: 200 });
  const bytes = rawFrame(1, 1, 0, new Uint8Array(100));
  far.write(bytes.subarray(0, 50));
  await turn();
  for (let sent = 0; sent < 10; sent++) {
    pass(150);
    far.write(Buffer.concat([bytes.subarray(50), bytes.subarray(0, 50)]));
    await turn();
  }
  assert.equal(recorder.frames.length, 10);
  assert.deepEqual(recorder.violations, []);
  pass(200);
  assert.equal(recorder.violations.length, 1, 'the last half waits in vain');
  channel.destroy();
});

test('an idle connection has no timeout', async () => {
  const { channel, recorder, far } = open({ frameTimeoutMs: 10 });
  far.write(rawFrame(1, 1, 0, Uint8Array.of(1)));
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(channel.closed, false);
  assert.deepEqual(recorder.violations, []);
  channel.destroy();
});

test('the frame timeout pauses while reading is held', async () => {
  const { channel, recorder, far } = open({ frameTimeoutMs: 15 });
  far.write(rawFrame(1, 1, 0, Uint8Array.of(1)).subarray(0, 5));
  await turn();
  channel.hold(Hold.Streams);
  far.write(rawFrame(1, 1, 0, Uint8Array.of(1)).subarray(5));
  await turn();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(recorder.violations, []);
  channel.release(Hold.Streams);
  await turn();
  assert.equal(recorder.frames.length, 1);
  channel.destroy();
});

test('an oversized frame is reported and reading stops', async () => {
  const { channel, recorder, far } = open({ maxFrameBytes: 1024 });
  const header = rawFrame(5, 1, 0, new Uint8Array(0));
  header.writeUInt32BE(2 ** 31 - 1, 0);
  far.write(
    Buffer.concat([rawFrame(1, 1, 0, Uint8Array.of(1)), header, rawFrame(7, 1, 0, Uint8Array.of(1))]),
  );
  await turn();
  await turn();
  assert.equal(recorder.declared?.streamId, 5);
  assert.equal(recorder.frames.length, 1);
  channel.destroy();
});

test('end flushes pending frames', async () => {
  const { channel, recorder, far } = open();
  const received: Buffer[] = [];
  far.on('data', (chunk: Buffer) => received.push(chunk));
  channel.send(1, 2, 0, payload(10));
  channel.end();
  channel.end();
  await recorder.lost;
  await turn();
  assert.equal(Buffer.concat(received).length, 20);
  channel.end();
  assert.equal(channel.closed, true);
});

test('a peer that never reads does not prevent closing', async () => {
  const { channel, recorder } = open({ frameTimeoutMs: 20 });
  channel.send(1, 2, 0, payload(500_000));
  channel.end();
  await recorder.lost;
});

test('the end of the peer closes the channel', async () => {
  const { recorder, far } = open();
  far.end();
  far.resume();
  assert.equal(await recorder.lost, undefined);
});

test('an error of the stream is reported', async () => {
  const { recorder, near } = open();
  near.destroy(new Error('wire cut'));
  assert.match(String(await recorder.lost), /wire cut/);
});

test('a stream that is already closed is reported as lost', async () => {
  const [near] = streamPair();
  near.destroy();
  const recorder = new Recorder();
  const channel = new FrameChannel(near, completeLimits(), recorder.owner);
  assert.equal(await recorder.lost, undefined);
  assert.equal(channel.closed, true);
});

test('a stream of text is rejected; one of Uint8Arrays is accepted', async () => {
  const make = (): Duplex =>
    new Duplex({ objectMode: true, read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const text = new Recorder();
  const stream = make();
  const refused = new FrameChannel(stream, completeLimits(), text.owner);
  stream.push('text');
  await text.lost;
  assert.equal(refused.closed, true);
  assert.deepEqual(text.violations, ['the stream returned a string instead of bytes']);

  const bytes = new Recorder();
  const other = make();
  const channel = new FrameChannel(other, completeLimits(), bytes.owner);
  other.push(new Uint8Array(rawFrame(1, 1, 0, Uint8Array.of(4))));
  await turn();
  assert.equal(bytes.frames.length, 1);
  channel.destroy();
});
