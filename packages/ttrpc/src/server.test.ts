import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Demo, streamPair } from './demo.test.fixture.js';
import { Code, connect, createClient, createServer, service, TtrpcError } from './index.js';

test('a unary call comes back', async () => {
  const server = createServer({
    services: [service(Demo, { say: ({ value }) => ({ value: `${value}!` }) })],
  });
  const [near, far] = streamPair();
  server.serve(far, undefined);
  const channel = connect(near);
  const client = createClient(Demo, channel);
  const replies = await Promise.all([client.say({ value: 'a' }), client.say({ value: 'b' })]);
  assert.deepEqual(
    replies.map(({ value }) => value),
    ['a!', 'b!'],
  );
  channel.close();
  await channel.closed;
});

test('an error of the handler is the caller’s', async () => {
  const server = createServer({
    services: [
      service(Demo, {
        say: async () => {
          throw new TtrpcError(Code.NotFound, 'no such container: x');
        },
      }),
    ],
  });
  const [near, far] = streamPair();
  server.serve(far, undefined);
  const client = createClient(Demo, connect(near));
  await assert.rejects(client.say({}), { code: Code.NotFound, message: 'no such container: x' });
  await assert.rejects(client.read({}), { code: Code.Unimplemented });
  server.close();
});
