import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '../client/client.js';
import { connect, contextKey, type ServerInterceptor } from '../index.js';
import { Demo } from '../demo.test.fixture.js';
import { serveDemo, until } from '../demo-server.test.fixture.js';

test('the handler gets the values of its own call, also while another call is in progress', async () => {
  const key = contextKey<string>('name');
  const before: (string | undefined)[] = [];
  const attach: ServerInterceptor<string> = (request, { values }, next) => {
    before.push(values.get(key));
    values.set(key, (request as unknown as { value: string }).value);
    return next(request);
  };
  const { near } = serveDemo(
    {
      async say(_request, { values }) {
        await until(() => before.length === 2);
        return { value: values.get(key) ?? 'none' };
      },
    },
    { interceptors: [attach] },
  );
  const channel = connect(near);
  const demo = createClient(Demo, channel);
  const replies = await Promise.all([demo.say({ value: 'a' }), demo.say({ value: 'b' })]);
  assert.deepEqual(
    replies.map(({ value }) => value),
    ['a', 'b'],
  );
  assert.deepEqual(before, [undefined, undefined]);
  channel.close();
});
