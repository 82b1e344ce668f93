import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DescService, Message } from '@bufbuild/protobuf';
import { Demo } from '../demo.test.fixture.js';
import { number, serveDemo, text, type Implementation } from '../demo-server.test.fixture.js';
import {
  type Channel,
  type Client,
  Code,
  connect,
  createClient,
  createServer,
  inspectedService,
  service,
} from '../index.js';
import { streamPair } from '../memory-stream.test.fixture.js';
import { opaque, type Opaque, opaqueMethod } from '../frame/payload.js';
import { all, from, standard, upTo } from '../stream/streaming-client.test.fixture.js';

const opaqueDemo: DescService = { ...Demo, methods: Demo.methods.map(opaqueMethod) };

interface Inspecting {
  readonly client: Client<typeof Demo>;
  readonly channel: Channel;
  /** The requests that an interceptor of the proxy saw. */
  readonly seen: Message[];
}

function proxyTo(behind: Channel, own: Implementation = {}): Inspecting {
  const seen: Message[] = [];
  const proxy = createServer<string>({
    services: [
      inspectedService<string>(Demo, async () => ({ channel: behind }), service(Demo, own).handlers),
    ],
    interceptors: [
      (request, _context, next) => {
        seen.push(request);
        return next(request);
      },
    ],
  });
  const [near, far] = streamPair();
  proxy.serve(far, 'peer 1');
  const channel = connect(near);
  return { client: createClient(Demo, channel), channel, seen };
}

/** A proxy before a server that returns the bytes of each request. */
function proxyToEcho(): Inspecting {
  const [near, far] = streamPair();
  const echo = (request: unknown): unknown => request;
  const handlers = new Map(opaqueDemo.methods.map(({ name }) => [name, echo]));
  createServer<string>({ services: [{ descriptor: opaqueDemo, handlers }] }).serve(far, 'proxy');
  return proxyTo(connect(near));
}

async function exchange({ channel }: Inspecting, bytes: Uint8Array): Promise<Buffer> {
  const reply = await channel.call(opaqueMethod(Demo.method.say), opaque(bytes));
  return Buffer.from((reply as Opaque).value);
}

test('calls of all four kinds are forwarded, and interceptors see decoded requests', async () => {
  const { near } = serveDemo({ ...standard, say: ({ value }) => ({ value: `${value}!` }) });
  const { client, seen } = proxyTo(connect(near));
  assert.equal((await client.say({ value: 'x' })).value, 'x!');
  assert.deepEqual(await all(client.count({ value: 3 })), [1, 2, 3]);
  assert.equal((await client.sum(upTo(100))).value, 5050);
  assert.deepEqual(await all(client.chat(from('a', '', 'b'))), ['a!', '!', 'b!']);
  assert.equal((seen[0] as Message & { value: string }).value, 'x');
});

test('what another decoder could read differently is sent as it was read', async () => {
  const proxy = proxyToEcho();
  const twice = Buffer.concat([text('first'), text('last')]);
  assert.deepEqual(await exchange(proxy, twice), Buffer.from(text('last')));
  const overlong = Buffer.from([0x8a, 0x80, 0x00, 0x81, 0x00, 0x61]);
  assert.deepEqual(await exchange(proxy, overlong), Buffer.from(text('a')));
  assert.deepEqual(await exchange(proxy, Buffer.from([0x0a, 0])), Buffer.alloc(0));
});

test('a field that the descriptor does not have is refused, and does not reach the server', async () => {
  const proxy = proxyToEcho();
  await assert.rejects(exchange(proxy, Buffer.concat([text('x'), Buffer.from([0xfa, 0x3f, 1, 1])])), {
    code: Code.InvalidArgument,
    message: 'field 1023 of google.protobuf.StringValue is not known here',
  });
  assert.equal(proxy.seen.length, 0);
});

test('a field in a message of a stream that the descriptor does not have ends the call', async () => {
  const { near } = serveDemo(standard);
  const { channel } = proxyTo(connect(near));
  async function* messages(): AsyncGenerator<Opaque, void> {
    yield opaque(number(1));
    yield opaque(Buffer.concat([number(1), Buffer.from([0x10, 1])]));
  }
  await assert.rejects(channel.call(opaqueMethod(Demo.method.sum), messages()), {
    code: Code.InvalidArgument,
  });
});

test('replies are passed on as bytes, also with fields that no descriptor has', async () => {
  const bytes = Buffer.concat([text('x'), Buffer.from([0xfa, 0x3f, 3, 1, 2, 3])]);
  const [near, far] = streamPair();
  const handlers = new Map([['Say', () => opaque(bytes)]]);
  createServer<string>({ services: [{ descriptor: opaqueDemo, handlers }] }).serve(far, 'proxy');
  assert.deepEqual(await exchange(proxyTo(connect(near)), text('x')), bytes);
});

test('methods that the proxy answers itself do not reach the server', async () => {
  const { near } = serveDemo({ ...standard, say: () => ({ value: 'server' }) });
  const { client } = proxyTo(connect(near), { say: () => ({ value: 'proxy' }) });
  assert.equal((await client.say({})).value, 'proxy');
  assert.deepEqual(await all(client.count({ value: 1 })), [1]);
});

test('a route that rejects ends the call with its error', async () => {
  const { near } = serveDemo(standard);
  const gone = connect(near);
  gone.close();
  const { client } = proxyTo(gone);
  await assert.rejects(client.say({}), { code: Code.Canceled });
});
