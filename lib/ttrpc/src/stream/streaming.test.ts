import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turn, until, type Implementation } from '../demo-server.test.fixture.js';
import { Code, TtrpcError } from '../index.js';
import { all, from, setUp, standard, upTo } from './streaming-client.test.fixture.js';

test('server-streaming: none, one, many', async () => {
  const { client } = setUp(standard);
  assert.deepEqual(await all(client.count({ value: 0 })), []);
  assert.deepEqual(await all(client.count({ value: 1 })), [1]);
  const many = await all(client.count({ value: 5000 }));
  assert.equal(many.length, 5000);
  assert.ok(many.every((value, index) => value === index + 1));
});

test('client-streaming: none, some, many', async () => {
  const { client } = setUp(standard);
  assert.equal((await client.sum(from())).value, 0);
  assert.equal((await client.sum(from(1, 2, 3))).value, 6);
  assert.equal((await client.sum(upTo(3000))).value, 4_501_500);
});

test('both sides stream and reply to each other', async () => {
  const { client } = setUp(standard);
  const output: string[] = [];
  async function* talk(): AsyncGenerator<{ value: string }, void> {
    yield { value: 'a' };
    while (output.length < 1) await turn();
    yield { value: 'b' };
  }
  for await (const { value } of client.chat(talk())) output.push(value);
  assert.deepEqual(output, ['a!', 'b!']);
});

test('an empty message is a message', async () => {
  const { client } = setUp(standard);
  assert.deepEqual(await all(client.chat(from('', ''))), ['!', '!']);
  assert.equal((await client.sum(from(0, 0))).value, 0);
});

test('messages sent before an error are received before it', async () => {
  const { client, faults } = setUp({
    count: async function* () {
      yield { value: 1 };
      throw new TtrpcError(Code.DataLoss, 'gone');
    },
    sum: () => Promise.reject(new TtrpcError(Code.Aborted, 'no')),
    chat: async function* () {
      yield { value: 'x' };
      throw new Error('boom');
    },
  });
  const got: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { value } of client.count({})) got.push(value);
    },
    { code: Code.DataLoss, message: 'gone' },
  );
  assert.deepEqual(got, [1]);
  await assert.rejects(client.sum(upTo(3)), { code: Code.Aborted });
  await assert.rejects(all(client.chat(from('a'))), { code: Code.Unknown, message: 'boom' });
  assert.equal(faults.length, 1);
});

test('a handler that does not return a stream is a fault', async () => {
  const { client, faults } = setUp({ count: (() => 5) as unknown as NonNullable<Implementation['count']> });
  await assert.rejects(all(client.count({})), { code: Code.Unknown });
  assert.equal(faults[0]?.kind, 'handler');
});

test('a reply may come before the client has finished; its source is ended', async () => {
  let ended = false;
  async function* endless(): AsyncGenerator<{ value: number }, void> {
    try {
      for (let value = 1; ; value++) {
        await turn();
        yield { value };
      }
    } finally {
      ended = true;
    }
  }
  const { client } = setUp({
    sum: async (requests) => {
      for await (const { value } of requests) if (value === 3) return { value };
      return {};
    },
  });
  assert.equal((await client.sum(endless())).value, 3);
  await until(() => ended);
});

test('a client that stops reading early receives nothing more, and the connection stays open', async () => {
  const { client } = setUp(standard);
  for await (const { value } of client.count({ value: 2000 })) if (value === 2) break;
  assert.deepEqual(await all(client.count({ value: 2 })), [1, 2]);
});

test('interceptors see a streaming call once, from start to end', async () => {
  const log: string[] = [];
  const { client } = setUp(standard, {
    interceptors: [
      async (request, { method }, next) => {
        log.push(`${method} ${request.$typeName}`);
        const reply = await next(request);
        log.push(`${method} ended ${reply.$typeName}`);
        return reply;
      },
    ],
  });
  await all(client.count({ value: 2 }));
  await client.sum(upTo(2));
  await all(client.chat(from('a')));
  const types = { number: 'google.protobuf.UInt32Value', text: 'google.protobuf.StringValue' };
  assert.deepEqual(log, [
    `Count ${types.number}`,
    `Count ended ${types.number}`,
    `Sum ${types.number}`,
    `Sum ended ${types.number}`,
    `Chat ${types.text}`,
    `Chat ended ${types.text}`,
  ]);
});

test('a rejected stream gets its status and takes no data', async () => {
  const { client } = setUp(standard, {
    admit: () => ({ error: new TtrpcError(Code.Unimplemented, 'closed') }),
  });
  await assert.rejects(all(client.chat(from('a', 'b'))), { code: Code.Unimplemented, message: 'closed' });
  await assert.rejects(client.sum(upTo(500)), { code: Code.Unimplemented });
});

test('messages that arrive while the admission is pending are kept', async () => {
  let admitted: () => void = () => undefined;
  const { client } = setUp(standard, {
    admit: () => new Promise((resolve) => (admitted = () => resolve(undefined))),
  });
  const sum = client.sum(upTo(10));
  for (let count = 0; count < 5; count++) await turn();
  admitted();
  assert.equal((await sum).value, 55);
});
