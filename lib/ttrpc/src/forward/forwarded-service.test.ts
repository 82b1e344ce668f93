import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescService } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { Demo } from '../demo.test.fixture.js';
import { serveDemo, text, turn, until, type Implementation } from '../demo-server.test.fixture.js';
import {
  Code,
  connect,
  createClient,
  createServer,
  forwardedService,
  type CallInfo,
  type Channel,
  type Client,
  type MetadataInit,
  TtrpcError,
} from '../index.js';
import { opaque, type Opaque, opaqueMethod } from '../frame/payload.js';
import { streamPair, type MemoryStream } from '../memory-stream.test.fixture.js';
import { all, from, standard, upTo } from '../stream/streaming-client.test.fixture.js';

const opaqueDemo: DescService = { ...Demo, methods: Demo.methods.map(opaqueMethod) };

interface Forwarding {
  readonly client: Client<typeof Demo>;
  readonly channel: Channel;
  /** The end of the server behind. */
  readonly far: MemoryStream;
  readonly inFlight: () => number;
}

/** A client, a proxy and a server. */
function setUp(
  implementation: Implementation,
  metadata?: (call: CallInfo<null>) => MetadataInit,
): Forwarding {
  const { near, far } = serveDemo(implementation);
  const behind = connect(near);
  const proxy = createServer<null>({
    services: [
      forwardedService<null>(Demo, (call) => ({
        channel: behind,
        ...(metadata === undefined ? {} : { metadata: metadata(call) }),
      })),
    ],
  });
  const [client, end] = streamPair();
  const connection = proxy.serve(end, null);
  const channel = connect(client);
  return { client: createClient(Demo, channel), channel, far, inFlight: () => connection.inFlight };
}

test('all four kinds of calls are forwarded', async () => {
  const { client } = setUp({ ...standard, say: ({ value }) => ({ value: `${value}!` }) });
  assert.equal((await client.say({ value: 'x' })).value, 'x!');
  assert.equal((await client.say({ value: '' })).value, '!');
  assert.deepEqual(await all(client.count({ value: 3 })), [1, 2, 3]);
  assert.equal((await client.sum(upTo(100))).value, 5050);
  assert.deepEqual(await all(client.chat(from('a', '', 'b'))), ['a!', '!', 'b!']);
});

test('large messages are forwarded in both directions', async () => {
  const { client } = setUp({ read: ({ value }) => ({ value: new Uint8Array(value).fill(7) }) });
  for (const size of [8191, 8192, 1_000_000]) {
    const { value } = await client.read({ value: size });
    assert.equal(value.length, size);
    assert.ok(value.every((byte) => byte === 7));
  }
});

test('fields that no descriptor has survive in both directions', async () => {
  const bytes = Buffer.concat([text('x'), Buffer.from([0xfa, 0x3f, 3, 1, 2, 3])]);
  const echo = { descriptor: opaqueDemo, handlers: new Map([['Say', (request: unknown) => request]]) };
  const { near, far } = pair();
  createServer<null>({ services: [echo] }).serve(far, null);
  const behind = connect(near);
  const proxy = createServer<null>({ services: [forwardedService<null>(Demo, () => ({ channel: behind }))] });
  const { near: mine, far: its } = pair();
  proxy.serve(its, null);
  const reply = await connect(mine).call(opaqueMethod(Demo.method.say), opaque(bytes));
  assert.deepEqual(Buffer.from((reply as Opaque).value), bytes);
});

test('errors are sent on with code, message and details', async () => {
  const details = [create(AnySchema, { typeUrl: 'type/x', value: new Uint8Array([1, 2]) })];
  const { client } = setUp({
    say: () => {
      throw new TtrpcError(Code.Aborted, 'as it is', { details });
    },
    count: async function* () {
      yield { value: 1 };
      throw new TtrpcError(Code.DataLoss, 'gone');
    },
  });
  await assert.rejects(client.say({}), (error) => {
    assert.ok(error instanceof TtrpcError);
    assert.deepEqual([error.code, error.message, error.details], [Code.Aborted, 'as it is', details]);
    return true;
  });
  await assert.rejects(all(client.count({})), { code: Code.DataLoss, message: 'gone' });
  await assert.rejects(client.read({}), { code: Code.Unimplemented });
});

test('the timeout is passed on, and metadata only as the proxy says', async () => {
  const seen: (readonly [timeout: number | undefined, metadata: unknown])[] = [];
  const { client } = setUp(
    {
      say: (_request, { timeoutMs, metadata }) => {
        seen.push([Math.round((timeoutMs ?? 0) / 1000), Object.fromEntries(metadata)]);
        return {};
      },
    },
    ({ metadata }) => ({ by: 'proxy', first: metadata.get('x')?.[0] ?? 'none' }),
  );
  await client.say({}, { timeoutMs: 90_000, metadata: { x: ['1', '2'], by: 'client' } });
  assert.deepEqual(seen, [[90, { by: ['proxy'], first: ['1'] }]]);
  const plain = setUp({
    say: (_request, { timeoutMs, metadata }) => {
      seen.push([timeoutMs, metadata.size]);
      return {};
    },
  });
  await plain.client.say({}, { metadata: { x: '1' } });
  assert.deepEqual(seen[1], [undefined, 0]);
});

test('a unary call counts until the server has answered, also when its caller is gone', async () => {
  let answer: (() => void) | undefined;
  let ended = 0;
  const { near } = serveDemo({ say: () => new Promise((resolve) => (answer = () => resolve({}))) });
  const behind = connect(near);
  const proxy = createServer<null>({
    services: [forwardedService<null>(Demo, () => ({ channel: behind }))],
    interceptors: [
      async (request, _context, next) => {
        try {
          return await next(request);
        } finally {
          ended += 1;
        }
      },
    ],
  });
  const { near: mine, far } = pair();
  proxy.serve(far, null);
  const caller = connect(mine);
  const call = createClient(Demo, caller).say({});
  await until(() => answer !== undefined);
  caller.close();
  await assert.rejects(call, { code: Code.Canceled });
  for (let index = 0; index < 5; index++) await turn();
  assert.equal(ended, 0);
  answer?.();
  await until(() => ended === 1);
});

test('a stream ends with its caller', async () => {
  const { client, channel, inFlight } = setUp({
    count: async function* () {
      yield { value: 1 };
      await new Promise(() => undefined);
    },
  });
  const received = (async () => {
    for await (const { value } of client.count({})) if (value === 1) channel.close();
  })();
  await assert.rejects(received, { code: Code.Canceled });
  await until(() => inFlight() === 0);
});

test('calls in flight end with UNAVAILABLE when the server behind is lost, and those after it too', async () => {
  let begun = 0;
  const { client, far } = setUp({
    say: () => {
      begun += 1;
      return new Promise(() => undefined);
    },
    count: async function* () {
      yield { value: 1 };
      await new Promise(() => undefined);
    },
  });
  const calls = [client.say({}), client.say({}), all(client.count({}))];
  const ends = Promise.all(calls.map((call) => assert.rejects(call, { code: Code.Unavailable })));
  await until(() => begun === 2);
  far.destroy();
  await ends;
  await assert.rejects(client.say({}), { code: Code.Unavailable });
  assert.equal(begun, 2);
});

function pair(): { near: MemoryStream; far: MemoryStream } {
  const [near, far] = streamPair();
  return { near, far };
}
