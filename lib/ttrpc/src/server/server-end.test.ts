import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveRaw, text, turn, until, type Implementation } from '../demo-server.test.fixture.js';
import { Code, TtrpcError, type CallInfo, type HandlerContext } from '../index.js';
import { streamPair } from '../memory-stream.test.fixture.js';
import { answer, RawPeer } from '../raw-peer.test.fixture.js';
import { extendLead, requestLead } from '../message/envelopes.js';

const echo: Implementation = { say: ({ value }) => ({ value: `${value}!` }) };

test('a handler gets connection, metadata, deadline and payload', async () => {
  const seen: CallInfo<string>[] = [];
  const { peer } = serveRaw({
    say: (_request, context) => {
      seen.push(context);
      return {};
    },
  });
  const lead = extendLead(requestLead('demo.Demo', 'Say'), 5_000_000_000n, [['Key', 'v']]);
  peer.send(1, 1, 0, lead);
  await peer.take(1);
  const [call] = seen;
  assert.ok(call);
  assert.deepEqual([call.service, call.method, call.connection], ['demo.Demo', 'Say', 'peer 1']);
  assert.deepEqual([...call.metadata], [['key', ['v']]]);
  assert.equal(call.timeoutMs, 5000);
  assert.equal(call.payload.length, 0);
});

test('a deadline aborts the handler and is answered; a handler that continues still counts as in flight', async () => {
  let finish: () => void = () => undefined;
  const reasons: unknown[] = [];
  const { peer, connection, faults } = serveRaw({
    say: (_request, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => reasons.push(signal.reason));
        finish = () => resolve({});
      }),
  });
  peer.send(1, 1, 0, extendLead(requestLead('demo.Demo', 'Say'), 1_000_000n, []));
  assert.equal(await answer(peer), '4 Say: the deadline of 1 ms has passed');
  assert.ok(reasons[0] instanceof TtrpcError && reasons[0].code === Code.DeadlineExceeded);
  assert.equal(connection.inFlight, 1);
  finish();
  await until(() => !(connection.inFlight > 0));
  assert.deepEqual(peer.frames, []);
  assert.deepEqual(faults, []);
});

test('a deadline that expired before arrival skips the handler but not the admission', async () => {
  const log: string[] = [];
  const { peer } = serveRaw(
    { say: () => ({ value: String(log.push('handler')) }) },
    { admit: () => void log.push('admit') },
  );
  peer.send(1, 1, 0, extendLead(requestLead('demo.Demo', 'Say'), -5n, []));
  assert.match(String(await answer(peer)), /^4 /);
  assert.deepEqual(log, ['admit']);
});

test('a deadline in three hundred years does not fire at once', async () => {
  const { peer } = serveRaw(echo);
  peer.send(1, 1, 0, extendLead(requestLead('demo.Demo', 'Say'), 2n ** 63n - 1n, []));
  assert.deepEqual(await answer(peer), text('!'));
});

test('a lost connection aborts its calls and drops their late replies and errors', async () => {
  const contexts: HandlerContext<string>[] = [];
  const settle: (() => void)[] = [];
  const { peer, connection, server, faults } = serveRaw({
    say: (_request, context) =>
      new Promise((resolve) => {
        contexts.push(context);
        settle.push(() => resolve({}));
      }),
    read: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
    store: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
      }),
  });
  peer.request(1, 'Say');
  peer.request(3, 'Read');
  peer.request(5, 'Store');
  await until(() => !(connection.inFlight < 3));
  peer.stream.destroy();
  await connection.closed;
  const signal = contexts[0]?.signal;
  assert.equal(signal?.aborted, true);
  assert.equal(contexts[0]?.signal, signal);
  for (const finish of settle) finish();
  await turn();
  assert.equal(server.connections, 0);
  assert.deepEqual(faults, []);
});

test('shutdown rejects new calls, waits for those in flight, and closes', async () => {
  let finish: () => void = () => undefined;
  const { peer, server } = serveRaw({
    ...echo,
    read: () => new Promise((resolve) => (finish = () => resolve({ value: Uint8Array.of(1) }))),
  });
  const [idle, idleFar] = streamPair();
  server.serve(idleFar, 'idle');
  const idlePeer = new RawPeer(idle);
  peer.request(1, 'Read');
  await turn();
  const over = server.shutdown();
  await idlePeer.end();
  peer.request(3, 'Say');
  assert.equal(await answer(peer), '14 the server is shutting down');
  finish();
  assert.deepEqual(await answer(peer), Uint8Array.of(0x0a, 1, 1));
  await peer.end();
  await over;
  assert.equal(server.connections, 0);
  const [late, lateFar] = streamPair();
  await server.serve(lateFar, 'late').closed;
  late.destroy();
});

test('close ends all calls at once', async () => {
  const { peer, server, connection } = serveRaw({ read: () => new Promise(() => undefined) });
  peer.request(1, 'Read');
  await turn();
  server.close();
  await peer.end();
  await connection.closed;
  assert.deepEqual(peer.frames, []);
});

test('the owner can close a connection', async () => {
  const { peer, connection } = serveRaw(echo);
  connection.close();
  await peer.end();
});
