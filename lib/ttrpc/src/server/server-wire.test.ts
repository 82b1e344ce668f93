import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { serveRaw, text, until, type Implementation } from '../demo-server.test.fixture.js';
import { Demo } from '../demo.test.fixture.js';
import { Code, createServer, service, TtrpcError } from '../index.js';
import { streamPair } from '../memory-stream.test.fixture.js';
import { answer, outcome, rawFrame, RawPeer, rawRequest } from '../raw-peer.test.fixture.js';

/** Keeps the process alive: memory streams have no handle that would while a timer is pending. */
const alive = setInterval(() => undefined, 1000);
after(() => clearInterval(alive));

const echo: Implementation = { say: ({ value }) => ({ value: `${value}!` }) };

test('payloads are scanned and decoded before the handler runs', async () => {
  const called: string[] = [];
  const { peer } = serveRaw(
    {
      say: ({ value }) => {
        called.push(value);
        return {};
      },
      store: () => ({}),
    },
    { limits: { requestFields: 10 } },
  );
  peer.request(1, 'Say', Uint8Array.of(0x0a, 9));
  assert.match(String(await answer(peer)), /^3 google.protobuf.StringValue is malformed/);
  peer.request(3, 'Say', Uint8Array.of(0x0a, 1, 0xff));
  assert.match(String(await answer(peer)), /^3 cannot decode google.protobuf.StringValue/);
  peer.request(
    5,
    'Store',
    new Uint8Array(40).map((_, index) => (index % 2 === 0 ? 0x0a : 0)),
  );
  assert.match(String(await answer(peer)), /^8 google.protobuf.Struct: more than 10 fields/);
  assert.deepEqual(called, []);
});

test('an even or used id is answered on that id', async () => {
  const { peer, faults } = serveRaw({ ...echo, read: () => new Promise(() => undefined) });
  peer.request(2, 'Say');
  peer.request(0, 'Say');
  peer.request(5, 'Read');
  peer.request(5, 'Say');
  peer.send(9, 3, 0, Uint8Array.of(1));
  const frames = await peer.take(4);
  const odd = '3 StreamID must be odd for client initiated streams';
  assert.deepEqual(
    frames.map((frame) => [frame.streamId, outcome(frame)]),
    [
      [2, odd],
      [0, odd],
      [5, '3 StreamID cannot be re-used while its call is in flight'],
      [9, '3 StreamID is no longer active'],
    ],
  );
  assert.equal(faults.length, 4);
  assert.ok(faults.every(({ kind }) => kind === 'protocol'));
});

test('ids of concurrent calls may come in any order, as from ttrpc-rust, and wrap around', async () => {
  const { peer, faults } = serveRaw(echo);
  for (const id of [5, 1, 3, 2 ** 32 - 1, 1, 3]) peer.request(id, 'Say');
  const frames = await peer.take(6);
  assert.deepEqual(
    frames.map((frame) => [frame.streamId, outcome(frame)]),
    [5, 1, 3, 2 ** 32 - 1, 1, 3].map((id) => [id, text('!')]),
  );
  assert.deepEqual(faults, []);
});

test('an undecodable request is answered; unknown frame types are ignored', async () => {
  const { peer } = serveRaw(echo);
  peer.send(1, 1, 0, Uint8Array.of(0x0a, 200));
  assert.match(String(await answer(peer)), /^3 unmarshal request error: /);
  peer.send(3, 9, 0, Uint8Array.of(1));
  peer.send(5, 2, 0, Uint8Array.of(1));
  peer.request(7, 'Say');
  assert.deepEqual(await answer(peer), text('!'));
});

test('data for a unary call ends only that call', async () => {
  const signals: AbortSignal[] = [];
  const { peer, faults } = serveRaw({
    ...echo,
    read: (_request, { signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    },
  });
  peer.request(1, 'Read');
  peer.send(1, 3, 0, Uint8Array.of(1));
  assert.match(String(await answer(peer)), /^3 data on a stream/);
  assert.equal(signals[0]?.aborted, true);
  peer.send(1, 3, 0, Uint8Array.of(1));
  assert.equal(await answer(peer), '3 StreamID is no longer active');
  peer.request(3, 'Say');
  assert.deepEqual(await answer(peer), text('!'));
  assert.equal(faults.length, 1);
});

test('an oversized frame is answered, then the connection closes', async () => {
  const { peer, faults } = serveRaw(echo);
  const header = rawFrame(7, 1, 0, new Uint8Array());
  header.writeUInt32BE(2 ** 31, 0);
  peer.stream.write(header);
  const [frame] = await peer.take(1);
  assert.equal(frame?.streamId, 7);
  assert.equal(outcome(frame), '8 message length 2147483648 exceeds the maximum of 4194304');
  await peer.end();
  assert.equal(faults.length, 1);
});

test('an incomplete frame closes the connection after the timeout', async () => {
  const { peer, faults } = serveRaw(echo, { limits: { frameTimeoutMs: 10 } });
  peer.stream.write(rawFrame(1, 1, 0, rawRequest('demo.Demo', 'Say', text('a'))).subarray(0, 15));
  await peer.end();
  assert.deepEqual(
    faults.map(({ message }) => message),
    ['a frame did not end within 10 ms'],
  );
});

test('requests over the limit in flight are rejected until others end', async () => {
  const waiting: (() => void)[] = [];
  const { peer, connection } = serveRaw(
    { say: () => new Promise((resolve) => waiting.push(() => resolve({}))) },
    { limits: { requestsPerConnection: 2 } },
  );
  for (const id of [1, 3, 5]) peer.request(id, 'Say');
  const [refused] = await peer.take(1);
  assert.equal(refused?.streamId, 5);
  assert.match(String(outcome(refused)), /^8 more than 2 requests in flight/);
  assert.equal(connection.inFlight, 2);
  for (const finish of waiting) finish();
  await peer.take(2);
  peer.request(7, 'Say');
  await until(() => !(waiting.length < 3));
  waiting[2]?.();
  assert.deepEqual(await answer(peer), new Uint8Array());
});

test('replies of one tick leave in one write, that of a lone call at once', async () => {
  const server = createServer({ services: [service(Demo, { say: async ({ value }) => ({ value }) })] });
  const [near, far] = streamPair();
  server.serve(far, undefined);
  const peer = new RawPeer(near);
  const requests = Array.from({ length: 30 }, (_, index) =>
    rawFrame(2 * index + 1, 1, 0, rawRequest('demo.Demo', 'Say', text(String(index)))),
  );
  peer.stream.write(Buffer.concat(requests));
  await peer.take(30);
  assert.equal(far.writes, 1);
  server.close();
});

test('a status larger than a frame is truncated', async () => {
  const { peer } = serveRaw(
    {
      say: () => {
        throw new TtrpcError(Code.Internal, 'x'.repeat(5000));
      },
    },
    { limits: { maxFrameBytes: 1024 } },
  );
  peer.request(1, 'Say');
  assert.equal(await answer(peer), '8 the status is larger than a frame');
});
