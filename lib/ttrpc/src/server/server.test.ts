import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, BytesValueSchema, StringValueSchema, UInt32ValueSchema } from '@bufbuild/protobuf/wkt';
import { serveRaw, text, turn, type Implementation } from '../demo-server.test.fixture.js';
import { Demo } from '../demo.test.fixture.js';
import { Code, createServer, service, TtrpcError } from '../index.js';
import { streamPair } from '../memory-stream.test.fixture.js';
import { answer, outcome, rawFrame, RawPeer, rawRequest } from '../raw-peer.test.fixture.js';
import { readResponse, requestLead } from '../message/envelopes.js';
import { decodeStatus } from '../status.js';

const echo: Implementation = { say: ({ value }) => ({ value: `${value}!` }) };

test('a handler may return a value or a promise', async () => {
  const { peer, connection } = serveRaw({
    ...echo,
    read: async ({ value }) => ({ value: new Uint8Array(value) }),
  });
  peer.request(1, 'Say', text('a'));
  assert.deepEqual(await answer(peer), text('a!'));
  peer.request(3, 'Read', toBinary(UInt32ValueSchema, create(UInt32ValueSchema, { value: 20_000 })));
  assert.deepEqual(
    await answer(peer),
    toBinary(BytesValueSchema, create(BytesValueSchema, { value: new Uint8Array(20_000) })),
  );
  assert.equal(connection.inFlight, 0);
});

test('an error of the handler keeps its code, message and details', async () => {
  const details = [anyPack(StringValueSchema, create(StringValueSchema, { value: 'more' }))];
  const { peer, faults } = serveRaw({
    say: () => {
      throw new TtrpcError(Code.NotFound, 'no container x', { details });
    },
    read: () => Promise.reject(new TtrpcError(Code.Aborted, 'no')),
  });
  peer.request(1, 'Say');
  const [frame] = await peer.take(1);
  assert.ok(frame);
  assert.equal(outcome(frame), '5 no container x');
  const { status } = readResponse(Buffer.from(frame.data), 0, frame.data.length);
  assert.deepEqual(decodeStatus(status ?? new Uint8Array())?.details, details);
  peer.request(3, 'Read');
  assert.equal(await answer(peer), '10 no');
  assert.deepEqual(faults, []);
});

for (const [what, thrown, message] of [
  ['an Error', new Error('boom'), 'boom'],
  ['a string', 'boom', 'boom'],
  ['something without a text', Object.create(null), 'a value of type object was thrown, not an Error'],
  ['status OK', new TtrpcError(Code.Ok, 'fine'), 'fine'],
] as const) {
  test(`${what} thrown by a handler is UNKNOWN to the peer and a fault to the owner`, async () => {
    const fail = (): never => {
      throw thrown;
    };
    const { peer, faults } = serveRaw({ say: fail, read: async () => fail() });
    peer.request(1, 'Say');
    peer.request(3, 'Read');
    assert.equal(await answer(peer), `2 ${message}`);
    assert.equal(await answer(peer), `2 ${message}`);
    assert.deepEqual(
      faults.map(({ kind, method, connection, error }) => [kind, method, connection, error]),
      [
        ['handler', 'Say', 'peer 1', thrown],
        ['handler', 'Read', 'peer 1', thrown],
      ],
    );
  });
}

test('a reply that cannot be encoded is a fault of the handler', async () => {
  const { peer, faults } = serveRaw({
    sum: async () => ({ value: -1 }),
    say: () => JSON.parse('null') as object,
    read: () => ({ value: new Uint8Array(5_000_000) }),
  });
  peer.request(1, 'Sum');
  assert.match(String(await answer(peer)), /^2 .*uint32/);
  peer.request(3, 'Say');
  assert.equal(await answer(peer), '2 Say returned object instead of a google.protobuf.StringValue');
  peer.request(5, 'Read');
  assert.match(String(await answer(peer)), /^8 the reply has 5000005 bytes/);
  assert.equal(faults.length, 2);
});

test('a reporter that throws does not end the server', async (t) => {
  const warned = t.mock.method(process, 'emitWarning', () => undefined);
  for (const thrown of [new Error('disk full'), 'disk full']) {
    const { peer } = serveRaw(
      { say: () => Promise.reject(new Error('boom')) },
      {
        onFault: () => {
          throw thrown;
        },
      },
    );
    peer.request(1, 'Say');
    assert.equal(await answer(peer), '2 boom');
  }
  assert.equal(warned.mock.callCount(), 2);
});

test('faults without a reporter are dropped', async () => {
  const server = createServer({
    services: [service(Demo, { say: () => Promise.reject(new Error('boom')) })],
  });
  const [near, far] = streamPair();
  server.serve(far, undefined);
  const peer = new RawPeer(near);
  peer.request(1, 'Say');
  assert.equal(await answer(peer), '2 boom');
});

test('a method that is not served is UNIMPLEMENTED and named in the error', async () => {
  const { peer } = serveRaw({});
  peer.request(1, 'Say');
  peer.request(3, 'Nope');
  peer.send(5, 1, 0, requestLead('demo.Other', 'Say'));
  assert.equal(await answer(peer), '12 demo.Demo/Say is not served here');
  assert.equal(await answer(peer), '12 demo.Demo/Nope is not served here');
  assert.equal(await answer(peer), '12 demo.Other/Say is not served here');
});

test('registration rejects a repeated service and members that are not functions', () => {
  const twice = service(Demo, {});
  assert.throws(() => createServer({ services: [twice, twice] }), /demo.Demo is registered twice/);
  assert.throws(() => service(Demo, JSON.parse('{"say": 5}')), /demo.Demo: say is a number/);
});

test('an instance of a class can be an implementation', async () => {
  class Greeter {
    readonly #greeting = 'hello ';
    say({ value }: { value: string }): { value: string } {
      return { value: this.#greeting + value };
    }
  }
  const { peer } = serveRaw(new Greeter());
  peer.request(1, 'Say', text('x'));
  assert.deepEqual(await answer(peer), text('hello x'));
});

test('a connection of another group is served in between a flood of many connections', async () => {
  const order: string[] = [];
  const server = createServer<string>({
    services: [
      service(Demo, {
        say: (_request, { connection }) => {
          order.push(connection);
          return {};
        },
      }),
    ],
    groupOf: (connection) => connection,
  });
  const peerOf = (name: string) => {
    const [near, far] = streamPair();
    server.serve(far, name);
    return new RawPeer(near);
  };
  const floods = Array.from({ length: 20 }, () => peerOf('flood'));
  const quiet = peerOf('quiet');
  const requests = Array.from({ length: 400 }, (_, index) =>
    rawFrame(2 * index + 1, 1, 0, rawRequest('demo.Demo', 'Say', text(''))),
  );
  for (const { stream } of floods) stream.write(Buffer.concat(requests));
  while (order.length < 100) await turn();
  for (let id = 1; id < 20; id += 2) {
    const before = order.length;
    quiet.request(id, 'Say');
    await quiet.take(1);
    const between = order.slice(before).indexOf('quiet');
    assert.ok(between <= 64, `${between} calls of the flood came before`);
  }
  assert.ok(order.length < 8000, 'the flood had not ended');
  server.close();
});
