import assert from 'node:assert/strict';
import { test } from 'node:test';
import { number, serveDemo, serveRaw, turn, until } from '../demo-server.test.fixture.js';
import { Code, TtrpcError } from '../index.js';
import { RawPeer } from '../raw-peer.test.fixture.js';
import { extendLead, readResponse, requestLead } from '../message/envelopes.js';
import { decodeStatus } from '../status.js';
import { standard } from './streaming-client.test.fixture.js';

test('frames of a stream match Go’s', async () => {
  const { peer } = serveRaw(standard);
  peer.request(1, 'Count', number(2), 1);
  assert.deepEqual(
    (await peer.take(3)).map(({ type, flags, data }) => [type, flags, ...data]),
    [
      [3, 0, 8, 1],
      [3, 0, 8, 2],
      [3, 5],
    ],
  );
  peer.request(3, 'Sum', new Uint8Array(), 2);
  peer.send(3, 3, 0, number(4));
  peer.send(3, 3, 5);
  assert.deepEqual(
    (await peer.take(1)).map(({ type, flags, data }) => [type, flags, ...data]),
    [[2, 0, 0x12, 2, 8, 4]],
  );
});

test('the request’s payload is the first message; its flags say whether more follow', async () => {
  const { peer } = serveRaw(standard);
  const total = async (): Promise<number | undefined> => (await peer.take(1))[0]?.data.at(-1);
  peer.request(1, 'Sum', number(4), 2);
  peer.send(1, 3, 1, number(5)); // the last message may close the stream
  assert.equal(await total(), 9);
  peer.request(3, 'Sum', number(4), 1);
  assert.equal(await total(), 4);
  peer.request(5, 'Sum', number(7), 0);
  assert.equal(await total(), 7);
});

test('unexpected data ends the stream', async () => {
  const { peer, faults } = serveRaw(standard);
  const code = async (): Promise<number | undefined> => {
    const [frame] = await peer.take(1);
    const { status } = readResponse(Buffer.from(frame?.data ?? []), 0, frame?.data.length ?? 0);
    return decodeStatus(status ?? new Uint8Array())?.code;
  };
  const pending = serveRaw({ ...standard, sum: () => new Promise(() => undefined) });
  pending.peer.request(1, 'Sum', new Uint8Array(), 2);
  pending.peer.send(1, 3, 5);
  pending.peer.send(1, 3, 0, number(1)); // after the close
  await pending.peer.take(1);
  assert.equal(pending.faults.length, 1);
  peer.request(1, 'Sum', new Uint8Array(), 2);
  peer.send(1, 3, 0, Uint8Array.of(0x0a, 9)); // no message
  assert.equal(await code(), Code.InvalidArgument);
  peer.send(1, 3, 5);
  assert.equal(await code(), Code.InvalidArgument); // the stream has ended, and its sender could not know: no fault
  assert.equal(faults.length, 0);
});

test('a server-streaming call may be opened and then closed, but takes no data', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const { peer } = serveRaw({
    count: async function* () {
      await gate;
      yield { value: 1 };
    },
  });
  peer.request(1, 'Count', number(1), 2);
  peer.send(1, 3, 5);
  peer.request(3, 'Count', number(1), 2);
  peer.send(3, 3, 0, number(1));
  const [refused] = await peer.take(1);
  assert.deepEqual([refused?.streamId, refused?.type], [3, 2]);
  release();
  const [data, end] = await peer.take(2);
  assert.deepEqual([data?.streamId, data?.type, end?.flags], [1, 3, 5]);
});

test('data for an unknown method is dropped while its admission is pending', async () => {
  let admitted: () => void = () => undefined;
  const { peer } = serveRaw(standard, {
    admit: () => new Promise((resolve) => (admitted = () => resolve(undefined))),
  });
  peer.request(1, 'Nope', new Uint8Array(), 2);
  peer.send(1, 3, 0, number(1));
  await turn();
  await turn();
  admitted();
  const [frame] = await peer.take(1);
  assert.equal(
    decodeStatus(
      readResponse(Buffer.from(frame?.data ?? []), 0, frame?.data.length ?? 0).status ?? new Uint8Array(),
    )?.code,
    Code.Unimplemented,
  );
});

test('a lost connection is an error to a handler that reads, never an end', async () => {
  let outcome: unknown;
  const { near, connection } = serveDemo({
    sum: async (requests) => {
      try {
        for await (const request of requests) void request;
        outcome = 'ended';
      } catch (error) {
        outcome = error;
      }
      return {};
    },
  });
  const peer = new RawPeer(near);
  peer.request(1, 'Sum', new Uint8Array(), 2);
  peer.send(1, 3, 0, number(1));
  await turn();
  peer.stream.destroy();
  await connection.closed;
  await turn();
  assert.ok(outcome instanceof TtrpcError && outcome.code === Code.Unavailable);
});

test('a lost connection ends a handler that sends', async () => {
  let ended = false;
  const { near, connection } = serveDemo({
    count: async function* (_request, { signal }) {
      try {
        while (!signal.aborted) {
          await turn();
          yield { value: 1 };
        }
      } finally {
        ended = true;
      }
    },
  });
  const peer = new RawPeer(near);
  peer.request(1, 'Count', new Uint8Array(), 1);
  await peer.take(3);
  peer.stream.destroy();
  await connection.closed;
  await until(() => ended);
});

test('a deadline ends a stream', async () => {
  const { peer } = serveRaw({
    count: async function* () {
      for (;;) {
        await turn();
        yield { value: 1 };
      }
    },
  });
  const lead = extendLead(requestLead('demo.Demo', 'Count'), 20_000_000n, []);
  peer.send(1, 1, 1, lead);
  for (;;) {
    const [frame] = await peer.take(1);
    if (frame?.type !== 2) continue;
    const { status } = readResponse(Buffer.from(frame.data), 0, frame.data.length);
    assert.equal(decodeStatus(status ?? new Uint8Array())?.code, Code.DeadlineExceeded);
    return;
  }
});
