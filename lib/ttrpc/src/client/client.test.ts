import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { StringValueSchema } from '@bufbuild/protobuf/wkt';
import { Demo } from '../demo.test.fixture.js';
import { text, turn } from '../demo-server.test.fixture.js';
import {
  Code,
  connect,
  createClient,
  TtrpcError,
  type Channel,
  type ChannelOptions,
  type Client,
} from '../index.js';
import { streamPair, type MemoryStream } from '../memory-stream.test.fixture.js';
import { RawPeer, rawFrame } from '../raw-peer.test.fixture.js';
import { readRequest, type RequestEnvelope } from '../message/envelopes.js';
import { all, from, setUp, standard, upTo } from '../stream/streaming-client.test.fixture.js';

/** A client and a raw server end that the test controls byte by byte. */
function play(options: ChannelOptions = {}): {
  client: Client<typeof Demo>;
  channel: Channel;
  peer: RawPeer;
  near: MemoryStream;
} {
  const [near, far] = streamPair();
  const channel = connect(near, options);
  return { client: createClient(Demo, channel), channel, peer: new RawPeer(far), near };
}

async function request(peer: RawPeer): Promise<RequestEnvelope & { streamId: number; flags: number }> {
  const [frame] = await peer.take(1);
  assert.equal(frame?.type, 1);
  const envelope = readRequest(Buffer.from(frame.data), 0, frame.data.length, 100);
  return { ...envelope, streamId: frame.streamId, flags: frame.flags };
}

function reply(value: string): Buffer {
  const payload = text(value);
  return Buffer.concat([Uint8Array.of(0x12, payload.length), payload]);
}

test('a request carries ids that rise by two, flags of its kind, deadline and metadata', async () => {
  const { client, channel, peer } = play();
  const calls = [client.say({ value: 'x' }, { timeoutMs: 60_000, metadata: { Key: ['a', 'b'] } })];
  const first = await request(peer);
  assert.deepEqual([first.streamId, first.flags, first.service, first.method], [1, 0, 'demo.Demo', 'Say']);
  assert.deepEqual(first.payload, text('x'));
  assert.equal(first.timeoutNano, 60_000_000_000n);
  assert.deepEqual([...first.metadata], [['key', ['a', 'b']]]);
  const stream = all(client.count({}));
  const second = await request(peer);
  assert.deepEqual([second.streamId, second.flags, second.timeoutNano], [3, 1, 0n]);
  const sum = client.sum(from());
  const third = await request(peer);
  assert.deepEqual([third.streamId, third.flags], [5, 2]);
  const [close] = await peer.take(1);
  assert.deepEqual([close?.streamId, close?.type, close?.flags, close?.data.length], [5, 3, 5, 0]);
  channel.close();
  await Promise.allSettled([...calls, stream, sum]);
});

test('replies may arrive in any order', async () => {
  const { client, peer } = play();
  const calls = [client.say({}), client.say({}), client.say({})];
  await peer.take(3);
  for (const id of [5, 1, 3]) peer.send(id, 2, 0, reply(`for ${id}`));
  assert.deepEqual(
    (await Promise.all(calls)).map(({ value }) => value),
    ['for 1', 'for 3', 'for 5'],
  );
});

test('an abort ends the call locally and the late reply is dropped', async () => {
  const { client, peer } = play();
  const controller = new AbortController();
  const call = client.say({}, { signal: controller.signal });
  await peer.take(1);
  const why = new Error('not needed any more');
  controller.abort(why);
  await assert.rejects(call, { code: Code.Canceled, message: 'Say was canceled', cause: why });
  peer.send(1, 2, 0, reply('late'));
  const next = client.say({});
  await peer.take(1);
  peer.send(3, 2, 0, reply('next'));
  assert.equal((await next).value, 'next');
});

test('an aborted signal or an expired timeout sends nothing', async () => {
  const { client, peer } = play();
  await assert.rejects(client.say({}, { signal: AbortSignal.abort() }), { code: Code.Canceled });
  await assert.rejects(client.say({}, { timeoutMs: 0 }), { code: Code.DeadlineExceeded });
  await assert.rejects(client.say({}, { timeoutMs: Number.NaN }), { code: Code.DeadlineExceeded });
  await assert.rejects(all(client.count({}, { timeoutMs: -1 })), { code: Code.DeadlineExceeded });
  await turn();
  assert.deepEqual(peer.frames, []);
});

test('the deadline is enforced on the client too', async () => {
  const { client } = play();
  await assert.rejects(client.say({}, { timeoutMs: 5 }), {
    code: Code.DeadlineExceeded,
    message: 'Say: the deadline of 5 ms has passed',
  });
  await assert.rejects(all(client.count({}, { timeoutMs: 5 })), { code: Code.DeadlineExceeded });
});

test('an abort ends a stream after the messages already received', async () => {
  const { client, peer } = play();
  const controller = new AbortController();
  const got: string[] = [];
  const reading = (async () => {
    for await (const { value } of client.chat(from('a'), { signal: controller.signal })) got.push(value);
  })();
  await peer.take(1);
  peer.send(1, 3, 0, text('one'));
  while (got.length === 0) await turn();
  controller.abort();
  await assert.rejects(reading, { code: Code.Canceled });
  assert.deepEqual(got, ['one']);
});

test('a signal keeps no listeners of ended calls', async (t) => {
  const { client } = setUp({ say: () => ({}) });
  const { signal } = new AbortController();
  const added = t.mock.method(signal, 'addEventListener');
  const removed = t.mock.method(signal, 'removeEventListener');
  await Promise.all([client.say({}, { signal }), client.say({}, { signal })]);
  assert.equal(added.mock.callCount(), 2);
  assert.equal(removed.mock.callCount(), 2);
});

test('a closed channel ends its calls and rejects new ones', async () => {
  const { client, channel } = play();
  const calls = [client.say({}), client.sum(upTo(3)), all(client.count({}))];
  const expected = calls.map((call) => assert.rejects(call, { code: Code.Canceled }));
  await turn();
  channel.close();
  await Promise.all(expected);
  await channel.closed;
  await assert.rejects(client.say({}), { code: Code.Canceled });
});

test('a lost connection is UNAVAILABLE', async () => {
  const { client, channel, near } = play();
  const call = client.say({});
  near.destroy(new Error('wire cut'));
  await assert.rejects(call, { code: Code.Unavailable, message: 'the connection was closed: wire cut' });
  await channel.closed;
  await assert.rejects(client.say({}), { code: Code.Unavailable });
  const gone = play();
  const other = gone.client.say({});
  gone.peer.stream.destroy();
  await assert.rejects(other, { code: Code.Unavailable, message: 'the connection was closed' });
});

for (const [what, type, data, message] of [
  ['data for a unary call', 3, text('x'), 'Say: the server sent an unexpected frame of type 3'],
  [
    'an invalid response',
    2,
    Uint8Array.of(0x0a, 9),
    'the server sent a malformed frame: length 9 at byte 12 passes the end',
  ],
  [
    'an invalid status',
    2,
    Uint8Array.of(0x0a, 2, 0x1a, 9),
    'the server sent a malformed frame: premature EOF',
  ],
] as const) {
  test(`${what} ends the call, not the connection`, async () => {
    const { client, peer } = play();
    const call = client.say({});
    await peer.take(1);
    peer.send(1, type, 0, data);
    await assert.rejects(call, { code: Code.Internal, message });
    const next = client.say({});
    await peer.take(1);
    peer.send(3, 2, 0, reply('fine'));
    assert.equal((await next).value, 'fine');
  });
}

test('a reply that does not decode ends the call', async () => {
  const { client, peer } = play({ limits: { requestFields: 3 } });
  const bad = client.say({});
  const large = client.say({});
  const stream = all(client.count({}));
  await peer.take(3);
  peer.send(1, 2, 0, Uint8Array.of(0x12, 2, 0x0a, 9));
  peer.send(3, 2, 0, Uint8Array.of(0x12, 8, 0x0a, 0, 0x0a, 0, 0x0a, 0, 0x0a, 0));
  peer.send(5, 3, 0, Uint8Array.of(0x0a));
  await assert.rejects(bad, { code: Code.InvalidArgument });
  await assert.rejects(large, { code: Code.ResourceExhausted });
  await assert.rejects(stream, { code: Code.InvalidArgument });
});

test('a request frame on a stream ends the stream', async () => {
  const { client, peer } = play();
  const stream = all(client.count({}));
  await peer.take(1);
  peer.send(1, 1, 0, Uint8Array.of(1));
  await assert.rejects(stream, { code: Code.Internal });
});

test('a response ends a stream, with a last message if it carries one', async () => {
  const { client, peer } = play();
  const streams = [all(client.count({})), all(client.count({}))];
  await peer.take(2);
  peer.send(1, 2, 0, Uint8Array.of(0x12, 2, 8, 7));
  peer.send(3, 2, 0);
  assert.deepEqual(await Promise.all(streams), [[7], []]);
});

test('a last data frame may carry a message', async () => {
  const { client, peer } = play();
  const stream = all(client.count({}));
  await peer.take(1);
  peer.send(1, 3, 1, Uint8Array.of(8, 7));
  assert.deepEqual(await stream, [7]);
});

test('an oversized frame ends the connection with an error for its call', async () => {
  const { client, channel, peer } = play();
  const calls = [client.say({}), client.say({})];
  const expected = [
    assert.rejects(calls[0] as Promise<unknown>, { code: Code.Unavailable }),
    assert.rejects(calls[1] as Promise<unknown>, { code: Code.ResourceExhausted }),
  ];
  await peer.take(2);
  const header = rawFrame(3, 2, 0, new Uint8Array());
  header.writeUInt32BE(2 ** 31, 0);
  peer.stream.write(header);
  await Promise.all(expected);
  await channel.closed;
});

test('a message larger than a frame is not sent', async () => {
  const { client, peer } = play({ limits: { maxFrameBytes: 1024 } });
  await assert.rejects(client.say({ value: 'x'.repeat(2000) }), { code: Code.ResourceExhausted });
  await assert.rejects(client.say({}, { metadata: { k: 'x'.repeat(2000) } }), {
    code: Code.ResourceExhausted,
  });
  await turn();
  assert.deepEqual(peer.frames, []);
});

test('a request source that throws ends the call with its error and does not close the stream cleanly', async () => {
  const { client, peer } = play();
  async function* failing(): AsyncGenerator<{ value: number }, void> {
    yield { value: 1 };
    throw new Error('disk gone');
  }
  await assert.rejects(client.sum(failing()), /disk gone/);
  async function* odd(): AsyncGenerator<{ value: number }, void> {
    yield { value: 1 };
    throw 'text' as unknown as Error;
  }
  await assert.rejects(client.sum(odd()), { message: 'text' });
  await turn();
  assert.ok(peer.frames.every(({ flags }) => (flags & 1) === 0));
});

test('interceptors run around calls of all kinds', async () => {
  const log: string[] = [];
  const [near, far] = streamPair();
  const { server } = setUp(standard);
  server.serve(far, 'other');
  const channel = connect(near, {
    interceptors: [
      async (request, call, next) => {
        log.push(`${call.method} ${call.timeoutMs} ${[...call.metadata.keys()].join()}`);
        try {
          return await next(request);
        } catch (error) {
          throw new TtrpcError(Code.Aborted, 'seen', { cause: error });
        }
      },
    ],
  });
  const client = createClient(Demo, channel);
  assert.deepEqual(await all(client.count({ value: 2 }, { timeoutMs: 1000, metadata: { K: 'v' } })), [1, 2]);
  assert.equal((await client.sum(upTo(3))).value, 6);
  assert.deepEqual(await all(client.chat(from('a'))), ['a!']);
  await assert.rejects(client.say({}), { code: Code.Aborted, message: 'seen' });
  assert.deepEqual(log, ['Count 1000 k', 'Sum undefined ', 'Chat undefined ', 'Say undefined ']);
});

test('an interceptor may reply itself or reject the call', async () => {
  const { client, peer } = play({
    interceptors: [
      async (request, { method }) => {
        if (method === 'Say') return create(StringValueSchema, { value: 'cached' });
        if (method === 'Count') return request;
        throw new TtrpcError(Code.PermissionDenied, 'no');
      },
    ],
  });
  assert.equal((await client.say({})).value, 'cached');
  assert.deepEqual(await all(client.count({})), []);
  await assert.rejects(all(client.chat(from('a'))), { code: Code.PermissionDenied });
  assert.deepEqual(peer.frames, []);
});
