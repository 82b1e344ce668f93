import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { serveDemo, text, turn, until } from './demo-server.test.fixture.js';
import { Demo } from './demo.test.fixture.js';
import { connect, createClient } from './index.js';
import { streamPair } from './memory-stream.test.fixture.js';
import { RawPeer, rawFrame, rawRequest } from './raw-peer.test.fixture.js';
import { standard } from './stream/streaming-client.test.fixture.js';

const everything = {
  ...standard,
  say: ({ value }: { value: string }): { value: string } => ({ value: `${value}!` }),
  read: async ({ value }: { value: number }): Promise<{ value: Uint8Array }> => ({
    value: new Uint8Array(value % 9000),
  }),
  count: async function* ({ value }: { value: number }): AsyncGenerator<{ value: number }, void> {
    for (let count = 0; count < value % 20; count++) yield { value: count };
  },
};

const methodName = fc.constantFrom('Say', 'Read', 'Store', 'Count', 'Sum', 'Chat', 'Nope');
const id = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const payload = fc.oneof(
  fc.constant(new Uint8Array()),
  fc.constant(text('hello')),
  fc.constant(Uint8Array.of(8, 5)),
  fc.uint8Array({ maxLength: 40 }),
);
const flags = fc.oneof(fc.constantFrom(0, 1, 2, 4, 5), fc.integer({ min: 0, max: 255 }));

const anyFrame = fc.oneof(
  fc
    .tuple(id, flags, methodName, payload)
    .map(([streamId, flag, name, data]) => rawFrame(streamId, 1, flag, rawRequest('demo.Demo', name, data))),
  fc.tuple(id, flags, payload).map(([streamId, flag, data]) => rawFrame(streamId, 3, flag, data)),
  fc
    .tuple(id, fc.integer({ min: 0, max: 255 }), flags, payload)
    .map(([streamId, type, flag, data]) => rawFrame(streamId, type, flag, data)),
);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

test('the server survives any bytes from a peer and answers other peers', async () => {
  const { server, near } = serveDemo(everything);
  const other = createClient(Demo, connect(near));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 9, arbitrary: anyFrame }, { weight: 1, arbitrary: bytes }), {
        maxLength: 30,
      }),
      fc.integer({ min: 1, max: 64 }),
      async (pieces, cut) => {
        const [hostileNear, far] = streamPair();
        const connection = server.serve(far, 'hostile');
        const peer = new RawPeer(hostileNear);
        const all = Buffer.concat(pieces);
        const half = all.length - (all.length % cut);
        peer.stream.write(all.subarray(0, half));
        peer.stream.write(all.subarray(half));
        assert.equal((await other.say({ value: 'x' })).value, 'x!');
        for (let count = 0; count < 4; count++) await turn();
        peer.stream.destroy();
        await connection.closed;
        assert.equal(connection.inFlight, 0);
      },
    ),
    { numRuns: 300 },
  );
  assert.equal(server.connections, 1);
});

test('calls of the client end with any bytes from a server', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(anyFrame, bytes), { maxLength: 20 }), async (pieces) => {
      const [near, far] = streamPair();
      const client = createClient(Demo, connect(near));
      const peer = new RawPeer(far);
      async function* requests(): AsyncGenerator<{ value: string }, void> {
        yield { value: 'a' };
      }
      const chat = (async () => {
        for await (const message of client.chat(requests())) void message;
      })();
      const calls = Promise.allSettled([client.say({}), client.say({}), chat]);
      await turn();
      for (const piece of pieces) peer.stream.write(piece);
      await turn();
      await turn();
      peer.stream.destroy();
      assert.equal((await calls).length, 3);
    }),
    { numRuns: 200 },
  );
});

test('a peer that sends requests and never reads is throttled, within little memory', async () => {
  let handled = 0;
  const { server, near } = serveDemo({
    ...everything,
    read: () => {
      handled++;
      return { value: new Uint8Array(100_000) };
    },
  });
  const [hostile, far] = streamPair();
  server.serve(far, 'hostile');
  const request = rawRequest('demo.Demo', 'Read', Uint8Array.of(8, 1));
  for (let streamId = 1; streamId < 20_000; streamId += 2) hostile.write(rawFrame(streamId, 1, 0, request));
  for (let count = 0; count < 100; count++) await turn();
  assert.ok(handled < 200, `${handled} replies of 100 kB were made`);
  assert.ok(far.isPaused());
  const other = createClient(Demo, connect(near));
  assert.equal((await other.say({ value: 'x' })).value, 'x!');
  hostile.destroy();
  await until(() => server.connections === 1);
});
