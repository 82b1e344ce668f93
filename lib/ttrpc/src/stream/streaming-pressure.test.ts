import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveDemo, turn } from '../demo-server.test.fixture.js';
import { Code } from '../index.js';
import { RawPeer } from '../raw-peer.test.fixture.js';
import { all, from, setUp, upTo } from './streaming-client.test.fixture.js';

test('backpressure reaches from the reader to the handler', async () => {
  let made = 0;
  const { near } = serveDemo(
    {
      chat: async function* () {
        for (; made < 1000; made++) yield { value: 'x'.repeat(10_000) };
      },
    },
    { limits: { writeBufferBytes: 100_000 } },
  );
  const peer = new RawPeer(near);
  near.pause();
  peer.request(1, 'Chat', new Uint8Array(), 1);
  for (let count = 0; count < 100; count++) await turn();
  const stopped = made;
  assert.ok(stopped < 50, `${stopped} messages of 10 kB were made`);
  near.resume();
  const frames = await peer.take(1001);
  assert.equal(frames.at(-1)?.flags, 5);
});

test('a handler that does not read pauses its connection; other calls continue afterwards', async () => {
  let read: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => (read = resolve));
  let sent = 0;
  async function* large(): AsyncGenerator<{ value: string }, void> {
    for (; sent < 300; sent++) yield { value: 'x'.repeat(10_000) };
  }
  const { client } = setUp(
    {
      say: () => ({}),
      chat: async function* (requests) {
        await wait;
        for await (const { value } of requests) if (value === '') yield { value };
        yield { value: 'end' };
      },
    },
    { limits: { streamBufferBytes: 100_000, writeBufferBytes: 100_000 } },
  );
  const chat = all(client.chat(large()));
  for (let count = 0; count < 200; count++) await turn();
  assert.ok(sent < 60, `${sent} messages of 10 kB were sent`);
  let answered = false;
  const other = client.say({}).then(() => (answered = true));
  for (let count = 0; count < 20; count++) await turn();
  assert.equal(answered, false);
  read();
  assert.deepEqual(await chat, ['end']);
  await other;
  assert.equal(sent, 300);
});

test('a handler that returns without reading resumes the connection', async () => {
  let finish: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => (finish = resolve));
  const { client } = setUp(
    {
      say: () => ({}),
      sum: async () => {
        await wait;
        return { value: 1 };
      },
    },
    { limits: { streamBufferBytes: 1000 } },
  );
  const sum = client.sum(upTo(200));
  for (let count = 0; count < 20; count++) await turn();
  finish();
  assert.equal((await sum).value, 1);
  await client.say({});
});

test('a client that does not read its stream pauses the server', async () => {
  let made = 0;
  const { client } = setUp(
    {
      say: () => ({}),
      chat: async function* () {
        for (; made < 500; made++) yield { value: 'x'.repeat(10_000) };
      },
    },
    { limits: { streamBufferBytes: 50_000, writeBufferBytes: 50_000 } },
  );
  const messages = client.chat(from())[Symbol.asyncIterator]();
  await messages.next();
  for (let count = 0; count < 200; count++) await turn();
  assert.ok(made < 60, `${made} messages of 10 kB were made`);
  let received = 1;
  while ((await messages.next()).done !== true) received++;
  assert.equal(received, 500);
  await client.say({});
});

test('a stream message larger than a frame is an error of the call, not of the connection', async () => {
  const { client } = setUp({
    chat: async function* (requests) {
      for await (const { value } of requests) yield { value: value.repeat(5_000_000) };
    },
  });
  await assert.rejects(all(client.chat(from('x'))), { code: Code.ResourceExhausted });
  await assert.rejects(all(client.chat(from('x'.repeat(5_000_000)))), { code: Code.ResourceExhausted });
  await assert.rejects(all(client.chat(from('x'))), { code: Code.ResourceExhausted });
});
