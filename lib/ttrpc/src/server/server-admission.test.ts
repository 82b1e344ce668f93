import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { BytesValueSchema, StringValueSchema, UInt32ValueSchema } from '@bufbuild/protobuf/wkt';
import { serveRaw, text, turn, until, type Implementation } from '../demo-server.test.fixture.js';
import { Code, TtrpcError } from '../index.js';
import { answer } from '../raw-peer.test.fixture.js';
import { extendLead, requestLead } from '../message/envelopes.js';

const echo: Implementation = { say: ({ value }) => ({ value: `${value}!` }) };

test('admit rejects with a status or a reply before the payload is decoded', async () => {
  const asked: string[] = [];
  const { peer } = serveRaw(echo, {
    admit: (call) => {
      asked.push(`${call.method} ${call.payload.length}`);
      if (call.method === 'Read') return { reply: create(BytesValueSchema, { value: Uint8Array.of(7) }) };
      if (call.method === 'Say') return { error: new TtrpcError(Code.Unimplemented, 'closed by the gate') };
      if (call.method === 'Count') return { reply: create(UInt32ValueSchema, { value: 3 }) };
      return undefined;
    },
  });
  peer.request(1, 'Say', Uint8Array.of(0x0a, 9));
  assert.equal(await answer(peer), '12 closed by the gate');
  peer.request(3, 'Read');
  assert.deepEqual(await answer(peer), Uint8Array.of(0x0a, 1, 7));
  peer.request(5, 'Count', new Uint8Array(), 1);
  const [data, end] = await peer.take(2);
  assert.deepEqual([data?.type, data?.flags, data?.data], [3, 0, Uint8Array.of(8, 3)]);
  assert.deepEqual([end?.type, end?.flags, end?.data.length], [3, 5, 0]);
  peer.request(7, 'Nope');
  assert.equal(await answer(peer), '12 demo.Demo/Nope is not served here');
  assert.deepEqual(asked, ['Say 2', 'Read 0', 'Count 0', 'Nope 0']);
});

test('admit may be asynchronous', async () => {
  const { peer } = serveRaw(echo, {
    admit: async (call) => {
      await turn();
      return call.payload.length === 0 ? { error: new TtrpcError(Code.PermissionDenied, 'no') } : undefined;
    },
  });
  peer.request(1, 'Say');
  peer.request(3, 'Say', text('a'));
  assert.equal(await answer(peer), '7 no');
  assert.deepEqual(await answer(peer), text('a!'));
});

test('an admission that throws rejects the call', async () => {
  for (const admit of [
    () => {
      throw new Error('broken');
    },
    () => Promise.reject(new Error('broken')),
  ]) {
    const called: string[] = [];
    const { peer, faults } = serveRaw(
      { say: ({ value }) => ({ value: String(called.push(value)) }) },
      { admit },
    );
    peer.request(1, 'Say', text('a'));
    assert.equal(await answer(peer), '13 Say could not be admitted');
    assert.deepEqual(called, []);
    assert.deepEqual(
      faults.map(({ kind }) => kind),
      ['admit'],
    );
  }
});

test('a reply for an unknown method becomes UNIMPLEMENTED', async () => {
  const { peer } = serveRaw({}, { admit: () => ({ reply: create(StringValueSchema) }) });
  peer.request(1, 'Nope');
  assert.equal(await answer(peer), '12 demo.Demo/Nope is not served here');
});

test('interceptors run around the handler, the first outermost', async () => {
  const log: string[] = [];
  const { peer } = serveRaw(echo, {
    interceptors: [
      async (request, context, next) => {
        log.push(`outer ${context.method}`);
        const reply = await next(request);
        log.push(`outer ${reply.$typeName}`);
        return reply;
      },
      async (_request, _context, next) => {
        log.push('inner');
        return next(create(StringValueSchema, { value: 'changed' }));
      },
    ],
  });
  peer.request(1, 'Say', text('a'));
  assert.deepEqual(await answer(peer), text('changed!'));
  assert.deepEqual(log, ['outer Say', 'inner', 'outer google.protobuf.StringValue']);
});

test('an interceptor may reject a call', async () => {
  const { peer } = serveRaw(echo, {
    interceptors: [() => Promise.reject(new TtrpcError(Code.PermissionDenied, 'by a rule'))],
  });
  peer.request(1, 'Say');
  assert.equal(await answer(peer), '7 by a rule');
});

test('a deadline that passes during admission wins', async () => {
  let admitted: () => void = () => undefined;
  const called: string[] = [];
  const { peer, connection } = serveRaw(
    { say: () => ({ value: String(called.push('')) }) },
    { admit: () => new Promise((resolve) => (admitted = () => resolve(undefined))) },
  );
  peer.send(1, 1, 0, extendLead(requestLead('demo.Demo', 'Say'), 1_000_000n, []));
  assert.match(String(await answer(peer)), /^4 /);
  admitted();
  await until(() => !(connection.inFlight > 0));
  assert.deepEqual(called, []);
});
