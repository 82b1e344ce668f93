import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as listen } from 'node:net';
import { after, before, suite, test } from 'node:test';

import { createServer, service } from '@kata-agent/ttrpc';

import { build } from './artifacts.js';
import { output } from './child.js';
import { Interop } from './gen/interop_pb.js';
import { interopService } from './interop-service.js';
import { isRecord } from './is-record.js';
import { TemporaryDirectory } from './temporary-directory.js';

const built = build('interop.binpb', 'peer-client');
const reply = { ok: { code: 'OK' }, alive: { code: 'OK', reply: { text: 'still here' } } };

suite("Go's client against our server", { skip: built.ok ? false : built.missing }, () => {
  const directory = new TemporaryDirectory();
  const address = directory.join('socket');
  const server = createServer<undefined>({ services: [service(Interop, interopService)] });
  const listener = listen((socket) => server.serve(socket, undefined));

  before(async () => {
    listener.listen(address);
    await once(listener, 'listening');
  });
  after(() => {
    listener.close();
    server.close();
    directory.remove();
  });

  /** Returns what Go's client observed in a scenario of peer-client. */
  async function observe(scenario: string): Promise<unknown> {
    if (!built.ok) throw new Error(built.missing);
    const args = ['-descriptors', built.path('interop.binpb'), '-address', address, scenario];
    const results: unknown = JSON.parse(await output(built.path('peer-client'), args));
    return isRecord(results) ? results[scenario] : undefined;
  }

  const expected: Readonly<Record<string, unknown>> = {
    echo: { ...reply.ok, reply: { text: 'héllo', data: 'AAH/' } },
    'echo-empty': { ...reply.ok, reply: {} },
    metadata: {
      ...reply.ok,
      reply: {
        metadata: [{ key: 'color', value: 'red' }, { key: 'color', value: 'green' }, { key: 'empty' }],
      },
    },
    'timeout-seen': { ...reply.ok, reply: { has_timeout: true } },
    fail: {
      code: 'FAILED_PRECONDITION',
      message: 'not now',
      details: [
        { typeUrl: 'type.googleapis.com/interop.Detail', value: 'CgNvbmU=' },
        { typeUrl: 'type.googleapis.com/interop.Detail', value: 'CgN0d28=' },
      ],
    },
    largest: { outcome: reply.ok, same: true },
    'blob-largest': { outcome: reply.ok, length: 4_194_294 },
    concurrent: { calls: 3200, wrong: 0, failed: 0 },
    sum: { ...reply.ok, reply: { sum: '50005000', count: '10000' } },
    'sum-none': { ...reply.ok, reply: {} },
    count: { end: { code: 'EOF' }, count: 1000, inOrder: true },
    'count-none': { end: { code: 'EOF' }, count: 0, inOrder: true },
    'count-fails': {
      end: { code: 'RESOURCE_EXHAUSTED', message: 'counted far enough' },
      count: 3,
      inOrder: true,
    },
    'count-slow-reader': { end: { code: 'EOF' }, count: 512, inOrder: true },
    chat: { turns: 100, inOrder: true, end: { code: 'EOF' } },
    'chat-none': { turns: 0, inOrder: true, end: { code: 'EOF' } },
    'chat-beside-unary': { echo: { ...reply.ok, reply: { text: 'beside' } }, answer: 42, ended: true },
    'streams-together': Array.from({ length: 16 }, () => ({
      end: { code: 'EOF' },
      count: 200,
      inOrder: true,
    })),
    cancel: {
      cancelled: { code: 'CONTEXT_CANCELED', message: 'context canceled' },
      waited: { ...reply.ok, reply: {} },
      after: reply.alive,
    },
  };
  for (const [scenario, observed] of Object.entries(expected)) {
    test(scenario, async () => {
      assert.deepEqual(await observe(scenario), observed);
    });
  }

  test('unknown methods and services are UNIMPLEMENTED and named', async () => {
    const method = await observe('unknown-method');
    assert.ok(isRecord(method));
    assert.equal(method['code'], 'UNIMPLEMENTED');
    assert.match(String(method['message']), /Nope/);
    const missing = await observe('unknown-service');
    assert.ok(isRecord(missing));
    assert.equal(missing['code'], 'UNIMPLEMENTED');
    assert.match(String(missing['message']), /interop\.Nope/);
  });

  test('a deadline ends the call on both sides and keeps the connection', async () => {
    const result = await observe('deadline');
    assert.ok(isRecord(result) && isRecord(result['client']) && isRecord(result['server']));
    assert.ok(['DEADLINE_EXCEEDED', 'CONTEXT_DEADLINE'].includes(String(result['client']['code'])));
    assert.equal(result['server']['code'], 'DEADLINE_EXCEEDED');
    assert.deepEqual(result['after'], reply.alive);
  });

  test('a status code without a name arrives unchanged, or as UNKNOWN', async () => {
    const result = await observe('fail-unnamed-code');
    assert.ok(isRecord(result));
    assert.ok(['77', 'UNKNOWN'].includes(String(result['code'])), String(result['code']));
  });

  test('a frame over the limit is rejected without reading it to the end', async () => {
    const result = await observe('oversize');
    assert.ok(isRecord(result) && isRecord(result['outcome']) && isRecord(result['after']));
    // The answer can be lost: Go's client is still writing when the connection is closed.
    assert.ok(['RESOURCE_EXHAUSTED', 'CLOSED', 'OTHER'].includes(String(result['outcome']['code'])));
    assert.notEqual(result['after']['code'], 'OK');
  });

  test('a reply over the limit is an error of its call only', async () => {
    const result = await observe('blob-oversize');
    assert.ok(isRecord(result) && isRecord(result['reply']) && isRecord(result['reply']['outcome']));
    assert.equal(result['reply']['outcome']['code'], 'RESOURCE_EXHAUSTED');
    assert.deepEqual(result['after'], reply.alive);
  });
});
