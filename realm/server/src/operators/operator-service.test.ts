import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { OperatorVerb } from '@kata-agent/catalogue';
import { Health } from '@kata-agent/protocol/health';
import { Relay } from '@kata-agent/protocol/relay';
import { Code, createClient, TtrpcError } from '@kata-agent/ttrpc';
import type { OperatorLimits } from './operator-context.js';
import {
  answerOf,
  type Asked,
  guestOf,
  type Rights,
  socketPair,
  TestReplica,
  trustedGuest,
  until,
} from './test-replica.test.fixture.js';

const all: Rights = { verbs: ['list', 'connect', 'audit', 'revoke'] };

function setUp(
  t: TestContext,
  {
    rights = { alice: all },
    ...more
  }: {
    readonly rights?: Readonly<Record<string, Rights>>;
    readonly limits?: Partial<OperatorLimits>;
    readonly name?: string;
  } = {},
): TestReplica {
  return new TestReplica(t, rights, more);
}

/** Rights of alice in guests whose relay is trusted. */
function rights(methods: readonly string[]): Readonly<Record<string, Rights>> {
  return { alice: { verbs: ['list', 'connect'], methods } };
}

test('each request needs its verb', async (t) => {
  const verbsOf: Readonly<Record<string, readonly OperatorVerb[]>> = {
    lister: ['list'],
    caller: ['list', 'connect'],
    auditor: ['list', 'audit'],
    revoker: ['list', 'revoke'],
    blind: ['connect', 'audit', 'revoke'],
  };
  const realm = setUp(t, {
    rights: {
      ...Object.fromEntries(Object.entries(verbsOf).map(([name, verbs]) => [name, { verbs }])),
      other: { ...all, guests: ['batch'] },
    },
  });
  const { guest } = await trustedGuest(t, 'web');
  realm.guests.push(guest);
  const requests: readonly [path: string, asked?: Asked][] = [
    ['/v1/guests'],
    ['/v1/guests/web'],
    ['/v1/guests/web/audit'],
    ['/v1/guests/web/revocations', { method: 'POST', body: '{"peer":"cn:x"}' }],
  ];
  const matrix: Record<string, readonly number[]> = {};
  for (const name of ['nobody', ...Object.keys(verbsOf), 'other']) {
    const statuses: number[] = [];
    for (const [path, asked] of requests) statuses.push((await realm.ask(name, path, asked)).status);
    statuses.push((await realm.upgrade(name, 'web')).status);
    matrix[name] = statuses;
  }
  // The list, the guest, its log (there is none), a revocation, a connection.
  assert.deepEqual(matrix, {
    nobody: [403, 403, 403, 403, 403],
    lister: [200, 200, 403, 403, 403],
    caller: [200, 200, 403, 403, 101],
    auditor: [200, 200, 404, 403, 403],
    revoker: [200, 200, 403, 200, 403],
    other: [200, 404, 404, 404, 404],
    blind: [200, 404, 404, 404, 404],
  });
  assert.deepEqual(realm.revoked, [{ guest: guest.id, revocation: { peer: 'cn:x' }, by: 'cn:revoker' }]);
  assert.equal((await realm.ask('other', '/v1/guests')).body, '{"guests":[]}\n');
  assert.deepEqual(realm.reported, []);
});

test('a guest that the operator may not list is answered as one that does not exist', async (t) => {
  const realm = setUp(t, { rights: { alice: { ...all, guests: ['web'] } } });
  realm.guests.push(guestOf('web'), guestOf('hidden'));
  const pairs = [
    ['/v1/guests/hidden', '/v1/guests/absent'],
    ['/v1/guests/hidden/audit', '/v1/guests/absent/audit'],
    [`/v1/guests/${'8'.repeat(12)}`, `/v1/guests/${'9'.repeat(12)}`],
  ] as const;
  for (const [hidden, absent] of pairs) {
    const [first, second] = [await realm.ask('alice', hidden), await realm.ask('alice', absent)];
    assert.equal(first.status, 404);
    const plain = (text: string): string => text.replaceAll(/hidden|absent|8{12}|9{12}/g, 'X');
    assert.deepEqual({ ...first, body: plain(first.body) }, { ...second, body: plain(second.body) });
  }
});

test('a guest by its name, its ID, or 12 digits of that', async (t) => {
  const realm = setUp(t);
  const web = guestOf('web');
  realm.guests.push(web);
  for (const name of ['web', web.id, web.id.slice(0, 12)]) {
    const { status, body } = await realm.ask('alice', `/v1/guests/${name}`);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), {
      name: 'web',
      id: web.id,
      attested: false,
      relay: 'operator-tls',
      version: '9.9',
      boot_id: 'boot',
      configuration_digest: `sha256:${web.id}`,
      connected_at: '2026-01-01T00:00:00.000Z',
      log: null,
      verbs: ['list', 'connect', 'audit', 'revoke'],
    });
  }
  assert.equal((await realm.ask('alice', `/v1/guests/${web.id.slice(0, 11)}`)).status, 404);
});

test('a request has one form', async (t) => {
  const realm = setUp(t);
  realm.guests.push(guestOf('web'));
  const post = { method: 'POST', body: '{"peer":"cn:x"}' };
  const table: readonly [path: string, asked: Asked, status: number][] = [
    ['/', {}, 404],
    ['/v1/guests/', {}, 400],
    ['/v1//guests', {}, 404],
    ['/v1/guests/web/', {}, 404],
    ['/v1/guests/web/other', {}, 404],
    ['/v1/guests/web/audit/x', {}, 404],
    ['/v1/guests/../guests', {}, 400],
    ['/v1/guests/%77eb', {}, 400],
    ['/v1/guests/web%00', {}, 400],
    ['/V1/guests', {}, 404],
    ['/v1/guests?x=1', {}, 400],
    ['/v1/guests/web?from=1', {}, 400],
    ['/v1/guests/web/audit?from=0', {}, 400],
    ['/v1/guests/web/audit?from=1e3', {}, 400],
    ['/v1/guests/web/audit?from=1&from=2', {}, 400],
    ['/v1/guests/web/audit?follow=yes', {}, 400],
    ['/v1/guests/web/audit?', {}, 400],
    ['/v1/guests/web/audit?from=1?follow=true', {}, 400],
    ['/v1/guests', { method: 'HEAD' }, 405],
    ['/v1/guests', { method: 'DELETE' }, 405],
    ['/v1/guests/web/revocations', {}, 405],
    ['/v1/guests', { body: 'x', headers: { 'Content-Length': '1' } }, 400],
    ['/guests/web', {}, 426],
    ['/v1/guests/web/revocations', { ...post, headers: { 'Content-Type': 'text/plain' } }, 415],
    ['/v1/guests/web/revocations', { ...post, body: '{' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '[]' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '{"peer":"*"}' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '{"peer":"web"}' }, 400],
    // The certificate of this realm: guests would never connect to it again.
    ['/v1/guests/web/revocations', { ...post, body: '{"peer":"cn:realm"}' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '{"peer":"cn:x","serial":"1"}' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '{"serial":"xyz","issuer":"CN=x"}' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: '{"serial":"1","issuer":"x"}' }, 400],
    ['/v1/guests/web/revocations', { ...post, body: `{"peer":"cn:${'x'.repeat(20_000)}"}` }, 413],
  ];
  for (const [path, asked, status] of table) {
    const answer = await realm.ask('alice', path, asked);
    assert.equal(
      answer.status,
      status,
      `${asked.method ?? 'GET'} ${path} ${asked.body ?? ''}: ${answer.body}`,
    );
    if (asked.method !== 'HEAD') {
      const { error } = JSON.parse(answer.body) as { error: { code: string; message: string } };
      assert.match(error.code, /^[a-z_]+$/);
      assert.notEqual(error.message, '');
    }
  }
  assert.deepEqual(realm.revoked, []);
  const serial = await realm.ask('alice', '/v1/guests/web/revocations', {
    ...post,
    body: '{"serial":"0A","issuer":"CN=x"}',
  });
  assert.deepEqual(JSON.parse(serial.body), { guest: guestOf('web').id, closed: 1 });
  realm.revoke = () => Promise.reject(new TtrpcError(Code.Unimplemented, 'RevokePeer is not served'));
  const failed = await realm.ask('alice', '/v1/guests/web/revocations', post);
  assert.equal(failed.status, 502);
  assert.match(failed.body, /UNIMPLEMENTED: RevokePeer is not served/);
  assert.deepEqual(realm.reported, []);
});

test('a guest that does not dial in time is a 503', async (t) => {
  const realm = setUp(t, { limits: { openMs: 100 } });
  realm.guests.push(guestOf('web'));
  realm.open = () => new Promise(() => undefined);
  assert.equal((await realm.upgrade('alice', 'web')).status, 503);
  assert.match(realm.reported.join(), /did not connect within 100 ms/);
});

test('the realm makes the calls that the operator may make, with its name', async (t) => {
  const realm = setUp(t, { rights: rights(['GetGuestDetails', 'Describe']) });
  const { guest, server } = await trustedGuest(t, 'web', {
    getGuestDetails: async () => ({ memBlockSizeBytes: 7n }),
    reseedRandomDev: async () => ({}),
  });
  realm.guests.push(guest);
  const { agent, channel, management } = await realm.trusted('alice', 'web');
  const metadata = {
    traceparent: '00-1-2-01',
    'Kata-Agent-Operator': 'cn:root',
    'x-other': '1',
  };
  assert.equal((await agent.getGuestDetails({}, { metadata })).memBlockSizeBytes, 7n);
  assert.deepEqual(server.calls, [
    {
      method: 'GetGuestDetails',
      metadata: { traceparent: ['00-1-2-01'], 'kata-agent-operator': ['cn:alice'] },
    },
  ]);
  assert.equal((await answerOf(createClient(Health, channel).check({}))).code, 'OK');
  assert.equal((await management.describe({})).version, '9.9');
  assert.deepEqual(await answerOf(agent.reseedRandomDev({})), {
    code: 'PERMISSION_DENIED',
    message: 'ReseedRandomDev is denied by the realm: the operator has no entry in methods for this guest',
  });
  assert.deepEqual(realm.denied(), ['connect web ReseedRandomDev']);
  assert.equal((await answerOf(agent.execProcess({}))).code, 'PERMISSION_DENIED');
  assert.equal(server.calls.length, 3);
  assert.equal(realm.service.counts.trusted, 1);
});

test('errors of the guest are unchanged, and a timeout is passed on', async (t) => {
  const realm = setUp(t);
  const seen: (number | undefined)[] = [];
  const { guest } = await trustedGuest(t, 'web', {
    execProcess: () => {
      throw new TtrpcError(Code.FailedPrecondition, 'KA4711: no such thing');
    },
    waitProcess: (_request, { timeoutMs }) => {
      seen.push(timeoutMs);
      return new Promise(() => undefined);
    },
  });
  realm.guests.push(guest);
  const { agent } = await realm.trusted('alice', 'web');
  assert.deepEqual(await answerOf(agent.execProcess({})), {
    code: 'FAILED_PRECONDITION',
    message: 'KA4711: no such thing',
  });
  assert.equal((await answerOf(agent.waitProcess({}, { timeoutMs: 150 }))).code, 'DEADLINE_EXCEEDED');
  assert.deepEqual(seen, [150]);
});

test('RevokePeer needs its verb, and WatchAudit is not relayed', async (t) => {
  const realm = setUp(t, { rights: rights(['*']) });
  const { guest, server } = await trustedGuest(t, 'web');
  realm.guests.push(guest);
  const { management } = await realm.trusted('alice', 'web');
  assert.match((await answerOf(management.revokePeer({ peer: 'cn:x' }))).message, /lacks the verb revoke/);
  assert.deepEqual(realm.denied(), ['revoke web RevokePeer']);
  const watching = (async () => {
    for await (const _records of management.watchAudit({}));
  })();
  assert.deepEqual(await answerOf(watching), {
    code: 'UNIMPLEMENTED',
    message: 'WatchAudit is not served by the realm: read the log that it keeps, kata-agent-ctl realm audit',
  });
  assert.deepEqual(server.calls, []);
  realm.rights.set('alice', { ...all, methods: [] });
  assert.equal((await management.revokePeer({ peer: 'cn:x' })).closed, 2);
  const calls = server.calls.length;
  assert.match(
    (await answerOf(management.revokePeer({ peer: 'cn:realm' }))).message,
    /names the realm, which would lose the guest/,
  );
  assert.equal(server.calls.length, calls);
});

test('an operator whose name no guest would accept gets an error when it connects', async (t) => {
  const long = 'x'.repeat(254);
  const realm = setUp(t, { rights: { [long]: all } });
  const { guest } = await trustedGuest(t, 'web');
  realm.guests.push(guest, guestOf('batch'));
  const { socket, status } = await realm.upgrade(long, 'web');
  assert.equal(status, 403);
  assert.match(String(await once(socket, 'data')), /the name that the realm has for you has more than 256/);
  assert.deepEqual(realm.denied(), ['connect web']);
  // With operator-tls the realm says it to no guest.
  assert.equal((await realm.upgrade(long, 'batch')).status, 503);
});

test('a service that no operator has is not forwarded', async (t) => {
  const realm = setUp(t);
  const { guest, server } = await trustedGuest(t, 'web');
  realm.guests.push(guest);
  const { channel } = await realm.trusted('alice', 'web');
  const relay = createClient(Relay, channel);
  assert.equal((await answerOf(relay.openConnection({ token: new Uint8Array(32) }))).code, 'UNIMPLEMENTED');
  assert.deepEqual(server.calls, []);
});

test('calls in flight end with UNAVAILABLE when the guest is gone, however, and none is repeated', async (t) => {
  for (const how of ['the guest dies', 'the realm closes it'] as const) {
    const realm = setUp(t);
    let calls = 0;
    const { guest, far } = await trustedGuest(t, 'web', {
      waitProcess: () => {
        calls += 1;
        return new Promise(() => undefined);
      },
    });
    realm.guests.push(guest);
    const { agent, socket } = await realm.trusted('alice', 'web');
    const closed = once(socket, 'close');
    const waiting = [answerOf(agent.waitProcess({})), answerOf(agent.waitProcess({}))];
    await until(() => calls === 2);
    if (how === 'the guest dies') far.destroy();
    else guest.channel.close();
    const answers = await Promise.all(waiting);
    assert.deepEqual(
      answers.map(({ code }) => code),
      ['UNAVAILABLE', 'UNAVAILABLE'],
    );
    assert.match(answers[0]?.message ?? '', /the (guest's )?connection was closed/);
    // At once, and not only after some time.
    assert.notEqual(await Promise.race([closed, delay(2_000, 'open')]), 'open');
    assert.equal((await answerOf(agent.waitProcess({}))).code, 'UNAVAILABLE');
    assert.equal(calls, 2);
    await until(() => realm.service.counts.trusted === 0);
  }
});

test('one operator’s calls that the guest never answers are limited, also those of closed connections', async (t) => {
  const realm = setUp(t, {
    limits: { calls: 10 },
    rights: { alice: all, bob: all },
  });
  let calls = 0;
  const answers: (() => void)[] = [];
  const { guest } = await trustedGuest(t, 'web', {
    waitProcess: () => {
      calls += 1;
      return new Promise((resolve) => answers.push(() => resolve({ status: 1 })));
    },
    getGuestDetails: async () => ({}),
  });
  realm.guests.push(guest);
  for (let round = 0; round < 3; round += 1) {
    const { agent, socket } = await realm.trusted('alice', 'web');
    const before = calls;
    const waiting = Array.from({ length: 5 }, () => answerOf(agent.waitProcess({})));
    if (round < 2) await until(() => calls === before + 5);
    else assert.equal((await waiting[0])?.code, 'RESOURCE_EXHAUSTED');
    socket.destroy();
  }
  assert.equal(calls, 10);
  const { agent: other } = await realm.trusted('bob', 'web');
  assert.equal((await answerOf(other.getGuestDetails({}))).code, 'OK');
  for (const answer of answers) answer();
  const { agent } = await realm.trusted('alice', 'web');
  await until(() => answers.length === 10);
  await delay(50);
  assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
});

test('a changed authorization counts from the next call on, and recheck closes connections', async (t) => {
  const realm = setUp(t);
  const { guest, server } = await trustedGuest(t, 'web', { getGuestDetails: async () => ({}) });
  const [near, far] = await socketPair(t);
  realm.open = async () => near;
  realm.guests.push(guest, guestOf('batch'));
  realm.rights.set('bob', all);
  const { agent, socket } = await realm.trusted('alice', 'web');
  const bob = await realm.trusted('bob', 'web');
  await realm.upgrade('alice', 'batch');
  realm.service.recheck();
  assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
  realm.rights.set('alice', { verbs: ['list'] });
  assert.match((await answerOf(agent.getGuestDetails({}))).message, /may no longer connect/);
  const ends = Promise.all([once(socket, 'close'), once(far.resume(), 'end')]);
  realm.service.recheck();
  await ends;
  assert.equal(server.calls.length, 1);
  assert.equal((await answerOf(bob.agent.getGuestDetails({}))).code, 'OK');
  assert.equal(realm.service.counts.trusted, 1);
});

test('an operator without end of connections and of readers', async (t) => {
  const realm = setUp(t, {
    limits: { connections: 3 },
    rights: { alice: all, bob: all },
  });
  realm.guests.push(guestOf('web'));
  realm.open = async () => (await socketPair(t))[0];
  const statuses: number[] = [];
  for (const person of ['alice', 'alice', 'alice', 'alice', 'bob'])
    statuses.push((await realm.upgrade(person, 'web')).status);
  assert.deepEqual(statuses, [101, 101, 101, 429, 101]);
});

test('one operator cannot take all connections that a guest has', async (t) => {
  const realm = setUp(t, { rights: { alice: all, bob: all } });
  realm.guests.push(guestOf('web'), guestOf('batch'));
  realm.open = async () => {
    const [near, far] = await socketPair(t);
    far.resume().once('end', () => far.end());
    return near;
  };
  const held: Socket[] = [];
  for (let count = 0; count < 16; count += 1) {
    const { socket, status } = await realm.upgrade('alice', 'web');
    assert.equal(status, 101);
    held.push(socket);
  }
  const { socket: refused, status } = await realm.upgrade('alice', 'web');
  assert.equal(status, 429);
  assert.match(
    String(await once(refused, 'data')),
    /you have 16 connections to guest 'web', which is the limit: close some/,
  );
  assert.equal((await realm.upgrade('bob', 'web')).status, 101);
  assert.equal((await realm.upgrade('alice', 'batch')).status, 101);
  // A refusal has taken no place of the operator's 64.
  held[0]?.destroy();
  await until(() => realm.service.counts.operatorTls === 17);
  assert.equal((await realm.upgrade('alice', 'web')).status, 101);
});

describe('what an operator has open', () => {
  it('ends with the name of the guest by which it was allowed', async (t) => {
    const realm = setUp(t, { rights: { alice: all, bob: all } });
    const web = guestOf('web');
    realm.guests.push(web, guestOf('batch'));
    realm.logged.add(web.id);
    realm.open = async () => (await socketPair(t))[0];
    realm.readLog = async function* (_id, _from, _follow, signal) {
      yield [Buffer.from('{"sequence":1}')];
      await once(signal, 'abort');
    };
    const opened = await realm.upgrade('alice', 'web');
    const other = await realm.upgrade('bob', 'batch');
    const reader = await realm.connect('alice');
    reader.write('GET /v1/guests/web/audit?follow=true HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(reader, 'data');
    // The name that it has already is no change.
    realm.service.named({ id: web.id, name: 'web' });
    assert.deepEqual([realm.service.counts.operatorTls, realm.service.counts.readers], [2, 1]);
    const ends = Promise.all([once(opened.socket.resume(), 'end'), once(reader.resume(), 'end')]);
    realm.service.named({ id: web.id, name: 'secret' });
    await ends;
    assert.equal(other.socket.destroyed, false);
    assert.deepEqual([realm.service.counts.operatorTls, realm.service.counts.readers], [1, 0]);
    assert.deepEqual(
      realm.decisions.filter(({ allowed }) => !allowed).map(({ verb, reason }) => [verb, reason]),
      [
        ['connect', 'the guest no longer has this name'],
        ['audit', 'the guest no longer has this name'],
      ],
    );
    // Of a guest that is not accepted under a name any more.
    realm.service.named({ id: guestOf('batch').id, name: undefined });
    await until(() => realm.service.counts.operatorTls === 0);
  });

  it('is no more readers than the limit, which another operator does not share', async (t) => {
    const realm = setUp(t, { rights: { alice: all, bob: all }, limits: { readers: 2 } });
    const web = guestOf('web');
    realm.past.push(web);
    realm.logged.add(web.id);
    realm.readLog = async function* (_id, _from, _follow, signal) {
      yield [Buffer.from('{"sequence":1}')];
      await once(signal, 'abort');
    };
    const heads: string[] = [];
    for (const name of ['alice', 'alice', 'alice', 'bob']) {
      const reader = await realm.connect(name);
      reader.write('GET /v1/guests/web/audit HTTP/1.1\r\nHost: x\r\n\r\n');
      heads.push(String((await once(reader, 'data'))[0]).slice(9, 12));
    }
    assert.deepEqual(heads, ['200', '200', '429', '200']);
  });
});

describe('a guest of another replica', () => {
  /** Replicas A and B, and a guest that B has. */
  function twoReplicas(t: TestContext, atB: Readonly<Record<string, Rights>> = { alice: all }) {
    const a = setUp(t, { name: 'a', rights: { alice: all, bob: all } });
    const b = setUp(t, { name: 'b', rights: atB });
    a.join(b);
    const add = (guest: ReturnType<typeof guestOf>): void => {
      b.guests.push(guest);
      a.addRemote(guest, b);
    };
    return { a, b, add };
  }

  it('is shown as one that is here', async (t) => {
    const { a, b, add } = twoReplicas(t);
    add(guestOf('web'));
    assert.deepEqual(
      JSON.parse((await a.ask('alice', '/v1/guests/web')).body),
      JSON.parse((await b.ask('alice', '/v1/guests/web')).body),
    );
  });

  it('is reached in both directions, and both replicas record who did it', async (t) => {
    const { a, b, add } = twoReplicas(t);
    add(guestOf('web'));
    const [near, far] = await socketPair(t);
    b.open = async () => near;
    const { socket, status } = await a.upgrade('alice', 'web');
    assert.equal(status, 101);
    socket.write('to the guest');
    assert.equal(String((await once(far, 'data'))[0]), 'to the guest');
    far.end('to the operator');
    assert.equal(String((await once(socket, 'data'))[0]), 'to the operator');
    socket.end();
    await until(() => a.service.counts.operatorTls + b.service.counts.operatorTls === 0);
    assert.deepEqual(
      [a, b].map(({ decisions: [first] }) => [first?.operator, first?.allowed, first?.reason]),
      [
        ['cn:alice', true, 'connected: by replica b'],
        ['cn:alice', true, 'connected by another replica'],
      ],
    );
  });

  it('is called by the replica that has it, by the rights of its file', async (t) => {
    const { a, b, add } = twoReplicas(t, {
      alice: { verbs: ['list', 'connect'], methods: ['GetGuestDetails'] },
    });
    const { guest, server } = await trustedGuest(t, 'web', {
      getGuestDetails: async () => ({}),
      execProcess: async () => ({}),
    });
    add(guest);
    const { agent } = await a.trusted('alice', 'web');
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
    // A would allow each call.
    assert.equal((await answerOf(agent.execProcess({}))).code, 'PERMISSION_DENIED');
    assert.deepEqual(
      server.calls.map(({ method, metadata }) => [method, metadata['kata-agent-operator']]),
      [['GetGuestDetails', ['cn:alice']]],
    );
    assert.deepEqual([a.denied(), b.denied()], [[], ['connect web ExecProcess']]);
  });

  it('is neither opened nor sent a revocation for an operator that its replica does not allow', async (t) => {
    const { a, b, add } = twoReplicas(t, { alice: { verbs: ['list'] } });
    add(guestOf('web'));
    b.open = () => assert.fail('it is opened');
    assert.equal((await a.upgrade('alice', 'web')).status, 403);
    assert.equal((await a.upgrade('bob', 'web')).status, 403);
    const revocation = { method: 'POST', body: '{"peer":"cn:x"}' };
    for (const name of ['alice', 'bob'])
      assert.equal((await a.ask(name, '/v1/guests/web/revocations', revocation)).status, 403);
    assert.deepEqual([a.revoked, b.revoked], [[], []]);
    assert.deepEqual(b.denied(), ['connect web', 'revoke web']);
    assert.deepEqual([a.reported, b.reported], [[], []]);
  });

  it('gets a revocation from its replica', async (t) => {
    const { a, b, add } = twoReplicas(t);
    add(guestOf('web'));
    b.revoke = async () => ({ closed: 3 });
    const { body } = await a.ask('alice', '/v1/guests/web/revocations', {
      method: 'POST',
      body: '{"peer":"cn:x"}',
    });
    assert.deepEqual(JSON.parse(body), { guest: guestOf('web').id, closed: 3 });
    assert.deepEqual(a.revoked, []);
    assert.deepEqual(b.revoked, [{ guest: guestOf('web').id, revocation: { peer: 'cn:x' }, by: 'cn:alice' }]);
    b.revoke = () => Promise.reject(new TtrpcError(Code.Unimplemented, 'RevokePeer is not served'));
    const failed = await a.ask('alice', '/v1/guests/web/revocations', {
      method: 'POST',
      body: '{"peer":"cn:x"}',
    });
    assert.equal(failed.status, 502);
    assert.match(failed.body, /UNIMPLEMENTED: RevokePeer is not served/);
  });

  it('is lost to an operator when its replica reads another file', async (t) => {
    const { a, b, add } = twoReplicas(t);
    add(guestOf('web'));
    b.open = async () => (await socketPair(t))[0];
    const { socket } = await a.upgrade('alice', 'web');
    b.rights.delete('alice');
    const closed = once(socket.resume(), 'end');
    b.service.recheck();
    await closed;
    assert.equal((await a.upgrade('alice', 'web')).status, 403);
    assert.equal((await a.ask('alice', '/v1/guests')).status, 200);
  });

  it('has places for operators of other replicas beside those of its own', async (t) => {
    const a = setUp(t, { name: 'a' });
    const b = setUp(t, { name: 'b', limits: { connectionsToGuest: 1 } });
    a.join(b);
    const web = guestOf('web');
    b.guests.push(web);
    a.addRemote(web, b);
    b.open = async () => (await socketPair(t))[0];
    const statuses: number[] = [];
    for (const replica of [a, a, b, b]) statuses.push((await replica.upgrade('alice', 'web')).status);
    assert.deepEqual(statuses, [101, 429, 101, 429]);
  });

  it('gets its connection through a third replica, while that one allows it', async (t) => {
    const c = setUp(t, { name: 'c', rights: { alice: all } });
    const web = guestOf('web');
    const join = async (name: string) => {
      const [operator, pipe] = await socketPair(t);
      const [guest, stream] = await socketPair(t);
      const remote = { source: c.source(name), certificates: [], notAfter: Date.now() + 60_000 };
      c.service.remote.joined(web, remote, { pipe, stream });
      return { operator, guest };
    };
    const { operator, guest } = await join('alice');
    operator.write('x');
    assert.equal(String((await once(guest, 'data'))[0]), 'x');
    await assert.rejects(join('bob'), /no entry of the authorization names your certificate/);
    assert.equal(c.service.counts.operatorTls, 1);
    c.rights.set('alice', { verbs: ['list'] });
    const closed = once(operator.resume(), 'end');
    c.service.recheck();
    await closed;
  });

  it('is left when the certificate of the operator expires', async (t) => {
    const { b, add } = twoReplicas(t);
    const web = guestOf('web');
    add(web);
    b.open = async () => (await socketPair(t))[0];
    const [operator, far] = await socketPair(t);
    b.service.remote.serve(
      { guest: web, source: b.source('alice'), certificates: [], notAfter: Date.now() + 50 },
      { id: 'pipe', open: () => far, abort: (why) => assert.fail(why) },
    );
    await once(operator.resume(), 'end');
  });
});
