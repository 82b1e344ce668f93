import { setImmediate as turn } from 'node:timers/promises';

import type { DescService } from '@bufbuild/protobuf';
import {
  type Channel,
  connect,
  createClient,
  createServer,
  type Server,
  service,
  type ServiceImplementation,
} from '@kata-agent/ttrpc';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';

import { MemoryDuplex } from '../memory-duplex.js';
import type { Random } from '../random.js';
import { streamingMethods, streamingService } from '../streaming-service.js';
import type { Target } from '../target.js';
import { cutFrames, encodeFrame, encodeRequest, messageType, type WireFrame } from '../wire.js';

/** The interval of health checks on another connection, in runs. */
const healthEvery = 64;
/** The flag of a side's last frame on a stream. */
const remoteClosed = 1;
const streams = streamingService();

let server: Server<undefined> | undefined;
let runs = 0;

/** Frames of every type, valid and invalid, in any order and truncated anywhere, against a streaming server. */
export const frames: Target = {
  name: 'frames',
  promise: 'a peer can lose its stream or its connection, and affects no other peer',
  async run(random) {
    server ??= start();
    const stream = new MemoryDuplex();
    const connection = server.serve(stream, undefined);
    const { bytes, sent } = conversation(random);
    for (let at = 0; at < bytes.length; ) {
      const end = random.once(3) ? bytes.length : Math.min(bytes.length, at + 1 + random.below(64));
      stream.receive(bytes.subarray(at, end));
      at = end;
      if (random.once(4)) await turn();
    }
    await turn();
    const ended = random.once(2);
    if (ended) stream.receiveEnd();
    else stream.destroy();
    await connection.closed;
    const { frames, rest } = cutFrames(Buffer.concat(stream.heard));
    // A peer that disconnects may miss the end of a frame; one that stays may not.
    if (ended && rest.length > 0)
      throw new Error(`the server sent an incomplete frame: ${rest.length} bytes`);
    for (const frame of frames) checkAnswer(frame);
    if (sent !== undefined) checkAnswered(frames, sent);
    runs += 1;
    if (runs % healthEvery === 0) await checkHealth(server);
  },
};

/** Echo handlers, one for each streaming mode. */
const echoes: object = {
  unary: (request: object) => request,
  client: async (requests: AsyncIterable<object>) => {
    let last: object = {};
    for await (const request of requests) last = request;
    return last;
  },
  async *server(request: object) {
    yield request;
    yield request;
  },
  async *both(requests: AsyncIterable<object>) {
    for await (const request of requests) yield request;
  },
};

function start(): Server<undefined> {
  return createServer<undefined>({
    services: [
      service(Health, { check: () => ({ status: HealthCheckResponse_ServingStatus.SERVING }) }),
      // A service that is defined at run time has no types.
      service(streams, echoes as Partial<ServiceImplementation<DescService, undefined>>),
    ],
    limits: { requestsPerConnection: 8, streamBufferBytes: 4096 },
  });
}

/** Generates a client's bytes, and the number of frames of each stream id; undefined if frames cannot be separated. */
interface Said {
  readonly bytes: Buffer;
  readonly sent: ReadonlyMap<number, number> | undefined;
}

function conversation(random: Random): Said {
  const parts: Buffer[] = [];
  const sent = new Map<number, number>();
  let clear = true;
  let nextId = 1;
  for (let count = 1 + random.below(12); count > 0; count -= 1) {
    if (random.once(20)) {
      parts.push(Buffer.from(random.bytes(random.below(40))));
      clear = false;
      continue;
    }
    const streamId = pickId(random, nextId);
    if (streamId === nextId) nextId += 2;
    sent.set(streamId, (sent.get(streamId) ?? 0) + 1);
    const frame = randomFrame(random, streamId);
    if (random.once(30)) {
      // A length that differs from that of the data: too long, slightly off, or beyond any limit.
      const lie = random.pick([0xffff_ffff, 0x8000_0000, 4 * 2 ** 20 + 1, random.below(64)]);
      parts.push(encodeFrame(frame, lie));
      clear = false;
    } else parts.push(encodeFrame(frame));
  }
  return { bytes: Buffer.concat(parts), sent: clear ? sent : undefined };
}

function pickId(random: Random, next: number): number {
  const choice = random.below(10);
  if (choice < 5) return next;
  if (choice < 8) return 1 + 2 * random.below(next);
  return choice === 8 ? random.below(20) : random.bits();
}

function randomFrame(random: Random, streamId: number): WireFrame {
  const choice = random.below(10);
  const type = choice < 5 ? messageType.request : choice < 9 ? messageType.data : random.below(256);
  const flags = random.once(5) ? random.below(256) : random.pick([0, 1, 2, 4, 5]);
  return { streamId, type, flags, data: frameData(random, type) };
}

function frameData(random: Random, type: number): Uint8Array {
  if (random.once(6)) return random.bytes(random.below(48));
  const text = random.below(6);
  const payload = random.once(8)
    ? random.bytes(random.below(16))
    : Uint8Array.of(0x0a, text, ...random.bytes(text).map((byte) => byte & 0x7f));
  if (type !== messageType.request) return random.once(4) ? new Uint8Array(0) : payload;
  const serviceName = random.once(12) ? 'fuzz.Nobody' : streams.typeName;
  const method = random.once(12) ? 'Nothing' : random.pick(streamingMethods);
  return encodeRequest(serviceName, method, payload);
}

function checkAnswer({ type, data }: WireFrame): void {
  if (type !== messageType.response && type !== messageType.data)
    throw new Error(`the server sent type ${type}`);
  if (data.length > 4 * 2 ** 20) throw new Error(`the server sent ${data.length} bytes`);
}

/** Asserts that there are no answers on unknown streams, and that no stream ends more than once per request. */
function checkAnswered(frames: readonly WireFrame[], sent: ReadonlyMap<number, number>): void {
  const endings = new Map<number, number>();
  for (const { streamId, type, flags } of frames) {
    if (!sent.has(streamId))
      throw new Error(`the server used stream ${streamId}, which the client did not open`);
    const ends = type === messageType.response || (flags & remoteClosed) !== 0;
    if (ends) endings.set(streamId, (endings.get(streamId) ?? 0) + 1);
  }
  for (const [streamId, count] of endings) {
    if (count > (sent.get(streamId) ?? 0)) throw new Error(`stream ${streamId} ended ${count} times`);
  }
}

/** A call of another client, on a separate connection. */
async function checkHealth(running: Server<undefined>): Promise<void> {
  const [ours, theirs] = pair();
  running.serve(theirs, undefined);
  const channel: Channel = connect(ours);
  const { status } = await createClient(Health, channel).check({});
  channel.close();
  if (status !== HealthCheckResponse_ServingStatus.SERVING) throw new Error(`Health answered ${status}`);
}

/** Two connected streams. */
function pair(): [MemoryDuplex, MemoryDuplex] {
  const ours = new MemoryDuplex(() => move(ours, theirs));
  const theirs = new MemoryDuplex(() => move(theirs, ours));
  return [ours, theirs];
}

function move(from: MemoryDuplex, to: MemoryDuplex): void {
  for (const chunk of from.heard.splice(0)) if (!to.destroyed) to.receive(chunk);
}
