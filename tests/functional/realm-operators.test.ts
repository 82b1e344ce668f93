import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { type Client, connect, createClient } from '@kata-agent/ttrpc';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { requestFrame } from '../harness/raw-frame.js';
import { guestOf, socketPair, TestRealm, trustedGuest } from '../harness/realm.js';
import { answerOf } from '../harness/sweep.js';
import { until } from '../harness/tls-engine.js';

const ca = new Authority('realm CA');
const operatorCa = new Authority('operators CA');
const certificate = ca.server(['localhost']);

const operatorOf = (name: string): ClientCertificate =>
  operatorCa.client({ commonNames: [name], uris: [`spiffe://example/ops/${name}`] });
const alice = operatorOf('alice');
const all = { verbs: ['list', 'connect', 'audit', 'revoke'] } as const;
const uriOf = (name: string): string => `spiffe://example/ops/${name}`;
const setUp = (t: TestContext, change: Partial<Parameters<typeof TestRealm.start>[1]> = {}) =>
  TestRealm.start(t, {
    certificate,
    operatorCa: operatorCa.pem,
    rights: { [uriOf('alice')]: all },
    ...change,
  });

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a request as an operator. */
function ask(
  realm: TestRealm,
  { cert, key }: Pick<ClientCertificate, 'cert' | 'key'>,
  path: string,
  { method = 'GET', body, headers = {} }: Asked = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: 'localhost',
      port: realm.port,
      agent: false,
      ca: ca.pem,
      cert,
      key,
      method,
      path,
      headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.end(body);
  });
}

/** Opens TLS as an operator. */
async function open(t: TestContext, realm: TestRealm, { cert, key }: ClientCertificate): Promise<TLSSocket> {
  const options = { host: 'localhost', port: realm.port, ca: ca.pem, cert, key, allowHalfOpen: true };
  const socket = connectTls(options);
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

const upgradeOf = (guest: string): string =>
  `GET /guests/${guest} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n\r\n`;

/** Reads the headers of an answer; what follows them remains to be read. */
async function headersOf(socket: TLSSocket): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) {
      if (bytes.length > end + 4) socket.unshift(bytes.subarray(end + 4));
      return bytes.subarray(0, end).toString('latin1');
    }
    const part: unknown = socket.read();
    if (part !== null) bytes = Buffer.concat([bytes, part as Buffer]);
    else if (socket.readableEnded || socket.destroyed) throw new Error(`it ended: ${bytes.toString()}`);
    else await Promise.race(['readable', 'end', 'close'].map((event) => once(socket, event)));
  }
}

/** Connects an operator to a guest whose relay is trusted. */
async function trusted(
  t: TestContext,
  realm: TestRealm,
  operator: ClientCertificate,
  guest: string,
): Promise<{
  socket: TLSSocket;
  agent: Client<typeof AgentService>;
  health: Client<typeof Health>;
  management: Client<typeof Management>;
}> {
  const socket = await open(t, realm, operator);
  socket.write(upgradeOf(guest));
  assert.match(await headersOf(socket), /^HTTP\/1\.1 101 .*\r\nKata-Agent-Relay: trusted\r\n/s);
  const channel = connect(socket);
  return {
    socket,
    agent: createClient(AgentService, channel),
    health: createClient(Health, channel),
    management: createClient(Management, channel),
  };
}

describe('requests of operators', () => {
  it('who may do what', async (t) => {
    const names = ['nobody', 'lister', 'caller', 'auditor', 'revoker', 'other', 'blind'];
    const people = new Map(names.map((name) => [name, operatorOf(name)]));
    const realm = await setUp(t, {
      rights: {
        [uriOf('lister')]: { verbs: ['list'] },
        [uriOf('caller')]: { verbs: ['list', 'connect'] },
        [uriOf('auditor')]: { verbs: ['list', 'audit'] },
        [uriOf('revoker')]: { verbs: ['list', 'revoke'] },
        [uriOf('other')]: { ...all, guests: ['batch'] },
        [uriOf('blind')]: { verbs: ['connect', 'audit', 'revoke'] },
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
    for (const [name, person] of people) {
      const statuses: number[] = [];
      for (const [path, asked] of requests) statuses.push((await ask(realm, person, path, asked)).status);
      const socket = await open(t, realm, person);
      socket.write(upgradeOf('web'));
      statuses.push(Number((await headersOf(socket)).split(' ')[1]));
      socket.destroy();
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
    assert.deepEqual(realm.revoked, [{ guest: guest.id, revocation: { peer: 'cn:x' } }]);
    assert.ok(realm.denied().includes('connect web') && realm.denied().includes('revoke web'));
    assert.equal((await ask(realm, people.get('other') ?? alice, '/v1/guests')).body, '{"guests":[]}\n');
    assert.deepEqual(realm.reported, []);
  });

  it('without a certificate of the operators’ CA nothing is answered', async (t) => {
    const realm = await setUp(t);
    for (const client of [
      { cert: '', key: '' },
      ca.client({ uris: [uriOf('alice')] }),
      new Authority('operators CA').client({ uris: [uriOf('alice')] }),
      operatorCa.client({ uris: [uriOf('alice')], notAfter: Date.UTC(2021, 0) }),
    ])
      await assert.rejects(ask(realm, client, '/v1/guests'), /alert|ECONNRESET|socket hang up/);
    assert.deepEqual(realm.decisions, []);
  });

  it('an Upgrade has one form too, and is refused with an answer', async (t) => {
    const realm = await setUp(t);
    realm.guests.push(guestOf('web'));
    const line = (head: string, more = ''): string =>
      `${head} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${more}\r\n`;
    const token = 'Upgrade: kata-agent-ttrpc/1\r\n';
    const table: readonly [bytes: string, status: string][] = [
      [line('GET /guests/web', 'Upgrade: websocket\r\n'), '400'],
      [line('GET /guests/web', 'Upgrade: kata-agent-relay/1\r\n'), '400'],
      [line('GET /v1/guests', token), '400'],
      [line('POST /guests/web', token), '405'],
      [line('GET /guests/web?x=1', token), '400'],
      [line('GET /guests/absent', token), '404'],
      [line('GET /guests/web', `${token}Content-Length: 3\r\n`), '400'],
      // Nothing opens a connection.
      [line('GET /guests/web', token), '503'],
    ];
    for (const [bytes, status] of table) {
      const socket = await open(t, realm, alice);
      socket.write(bytes);
      assert.equal((await headersOf(socket)).split(' ')[1], status, bytes);
      let body = '';
      socket.on('data', (part: Buffer) => (body += part.toString()));
      await once(socket, 'end');
      assert.equal(typeof (JSON.parse(body) as { error: { message: string } }).error.message, 'string');
      socket.end();
    }
    await until(() => realm.sockets.size === 0);
  });
});

describe('relay = "operator-tls"', () => {
  it('passes bytes on in both directions, those before the answer too, and each end on its own', async (t) => {
    const realm = await setUp(t);
    realm.guests.push(guestOf('web'));
    const [near, far] = await socketPair(t);
    let opened: (stream: Duplex) => void = () => undefined;
    realm.open = () => new Promise((resolve) => (opened = resolve));
    const socket = await open(t, realm, alice);
    // In the same packet as the request, after it, and before the guest has connected.
    socket.write(`${upgradeOf('web')}first `);
    await delay(50);
    socket.write('second ');
    await delay(50);
    // The guest can be the first that speaks, too.
    far.write('hello');
    opened(near);
    const headers = await headersOf(socket);
    assert.match(headers, /\r\nKata-Agent-Relay: operator-tls\r\nKata-Agent-Guest: 7{64}$/);
    let atGuest = '';
    far.on('data', (part: Buffer) => (atGuest += part.toString()));
    let atOperator = '';
    socket.on('data', (part: Buffer) => (atOperator += part.toString()));
    socket.end('third');
    await once(far, 'end');
    assert.equal(atGuest, 'first second third');
    far.end(' after the end of the other direction');
    await once(socket, 'end');
    assert.equal(atOperator, 'hello after the end of the other direction');
    assert.deepEqual(realm.service.counts.bytes, { toGuest: 18, toOperator: 42 });
    await until(() => realm.sockets.size === 0 && realm.service.counts.operatorTls === 0);
  });

  it('a reader that is slow slows the writer, and nothing is lost', async (t) => {
    const realm = await setUp(t);
    realm.guests.push(guestOf('web'));
    for (const direction of ['to the guest', 'to the operator']) {
      const [near, far] = await socketPair(t);
      realm.open = async () => near;
      const socket = await open(t, realm, alice);
      socket.write(upgradeOf('web'));
      await headersOf(socket);
      const [writer, reader] = direction === 'to the guest' ? [socket, far] : [far, socket];
      const piece = Buffer.alloc(1 << 20, 'x');
      let written = 0;
      let stopped = false;
      // 64 MiB, of which the sockets hold some.
      for (; written < 64 && !stopped; written += 1)
        if (!writer.write(piece))
          stopped = await Promise.race([once(writer, 'drain').then(() => false), delay(300, true)]);
      assert.ok(stopped, `${direction}: the writer does not stop`);
      assert.ok(process.memoryUsage().arrayBuffers < 200 << 20);
      writer.end();
      let received = 0;
      reader.on('data', (part: Buffer) => (received += part.length));
      await once(reader, 'end');
      assert.equal(received, written << 20);
      reader.end();
    }
    await until(() => realm.sockets.size === 0);
  });

  it('an error of one end closes the other', async (t) => {
    const realm = await setUp(t);
    realm.guests.push(guestOf('web'));
    for (const destroyed of ['operator', 'guest']) {
      const [near, far] = await socketPair(t);
      realm.open = async () => near;
      const socket = await open(t, realm, alice);
      socket.write(upgradeOf('web'));
      await headersOf(socket);
      socket.resume();
      // An operator's death looks like its end: the guest ends, too.
      far.resume().on('end', () => far.end());
      const other: Socket = destroyed === 'operator' ? far : socket;
      const closed = Promise.race([once(other, 'close'), once(other, 'end')]);
      if (destroyed === 'operator') socket.destroy();
      else far.resetAndDestroy();
      await closed;
      await until(() => realm.sockets.size === 0 && near.destroyed);
    }
  });

  it('200 connections, aborted at every point, leave nothing open', async (t) => {
    const realm = await setUp(t, { limits: { connections: 400, connectionsToGuest: 400, openMs: 1_500 } });
    realm.guests.push(guestOf('web'));
    const nears: Socket[] = [];
    let asked = 0;
    realm.open = async () => {
      const number = asked++;
      if (number % 10 === 0) throw new Error('the guest is busy');
      if (number % 10 === 1) return await new Promise<Duplex>(() => undefined);
      await delay(number % 50);
      const [near, far] = await socketPair(t);
      nears.push(near);
      far.on('data', (part: Buffer) => void far.write(part));
      far.on('end', () => far.end());
      if (number % 10 === 2) far.destroy();
      return near;
    };
    const clients = Array.from({ length: 200 }, async (_, index) => {
      const socket = await open(t, realm, alice);
      const when = index % 8;
      if (when === 0) return void socket.destroy();
      const bytes = upgradeOf('web');
      if (when === 1) return void socket.end(bytes.slice(0, 40));
      socket.write(bytes);
      if (when === 2) return void socket.destroy();
      if (when === 3) return void setTimeout(() => socket.destroy(), index % 60);
      if (when === 4) return void setTimeout(() => socket.end(), index % 60);
      const headers = await headersOf(socket).catch(() => '');
      if (!headers.includes(' 101 ') || when === 5) return void socket.destroy();
      socket.write('echo');
      if (when === 6) return void socket.destroy();
      // A guest that is gone ends the answer, and closes nothing: this end is still open.
      await Promise.race(['data', 'end', 'close'].map((event) => once(socket, event)));
      socket.end();
      socket.resume();
    });
    await Promise.all(clients);
    await until(() => realm.sockets.size === 0 && nears.every(({ destroyed }) => destroyed), 20_000);
    const { operatorTls, trusted } = realm.service.counts;
    assert.deepEqual([operatorTls, trusted], [0, 0]);
    assert.ok(asked > 100);
    // The slots are free again.
    const [near] = await socketPair(t);
    realm.open = async () => near;
    const socket = await open(t, realm, alice);
    socket.write(upgradeOf('web'));
    assert.match(await headersOf(socket), / 101 /);
  });

  it('an operator that leaves while the guest dials is noticed, and the guest’s connection is closed', async (t) => {
    const realm = await setUp(t, { limits: { connections: 1 } });
    realm.guests.push(guestOf('web'));
    for (const leave of ['destroy', 'end'] as const) {
      const [near, far] = await socketPair(t);
      let opened: (stream: Duplex) => void = () => assert.fail('nothing was asked');
      realm.open = () => new Promise((resolve) => (opened = resolve));
      const socket = await open(t, realm, alice);
      socket.write(upgradeOf('web'));
      await until(() => realm.service.counts.operatorTls === 0 && opened.length === 1);
      await delay(50);
      // A second one is too many until then.
      const second = await open(t, realm, alice);
      second.write(upgradeOf('web'));
      assert.match(await headersOf(second), / 429 /);
      second.destroy();
      socket[leave]();
      await until(() => realm.sockets.size === 0);
      far.resume();
      const closed = once(far, 'close');
      opened(near);
      await until(() => near.destroyed);
      far.end();
      await closed;
    }
  });
});

describe('relay = "trusted"', () => {
  it('operators together leave calls to the realm, which it needs for Health and revocations (S44)', async (t) => {
    const names = Array.from({ length: 8 }, (_, n) => `many-${n}`);
    const realm = await setUp(t, { rights: Object.fromEntries(names.map((name) => [uriOf(name), all])) });
    let calls = 0;
    const answers: (() => void)[] = [];
    const { guest } = await trustedGuest(t, 'web', {
      waitProcess: () => {
        calls += 1;
        return new Promise((resolve) => answers.push(() => resolve({ status: 1 })));
      },
    });
    realm.guests.push(guest);
    const codes: string[] = [];
    for (const name of names) {
      const { agent } = await trusted(t, realm, operatorOf(name), 'web');
      for (let n = 0; n < 128; n += 1)
        void answerOf(agent.waitProcess({})).then(({ code }) => codes.push(code));
    }
    await until(() => calls + codes.length === 1_024, 30_000);
    assert.equal(calls, 896);
    assert.deepEqual(new Set(codes), new Set(['RESOURCE_EXHAUSTED']));
    const health = createClient(Health, guest.channel);
    assert.equal((await answerOf(health.check({}))).code, 'OK');
    // Their end makes room again.
    for (const answer of answers) answer();
    const { agent } = await trusted(t, realm, operatorOf('many-7'), 'web');
    await until(() => codes.length === 1_024, 30_000);
    const again = answerOf(agent.waitProcess({}));
    await until(() => calls === 897);
    answers.at(-1)?.();
    assert.equal((await again).code, 'OK');
  });

  it('a guest that takes no requests, and an operator that takes no replies, cannot fill the memory', async (t) => {
    const mebibyte = 2 ** 20;
    const realm = await setUp(t, {
      limits: { callBytes: 4 * mebibyte, unreadBytes: 4 * mebibyte },
      rights: { [uriOf('alice')]: all, [uriOf('bob')]: all },
    });
    const data = new Uint8Array(mebibyte);
    const { guest } = await trustedGuest(t, 'web', {
      writeStdin: () => new Promise<never>(() => undefined),
      readStdout: async () => ({ data }),
      getGuestDetails: async () => ({}),
    });
    realm.guests.push(guest);
    const { agent: writer } = await trusted(t, realm, alice, 'web');
    const written = Array.from({ length: 6 }, () => answerOf(writer.writeStdin({ data })));
    // Three of them and what is around them are less than 4 MiB.
    for (const { code } of await Promise.all(written.slice(3))) assert.equal(code, 'RESOURCE_EXHAUSTED');
    assert.equal((await answerOf(writer.getGuestDetails({}))).code, 'OK');

    const reader = await open(t, realm, operatorOf('bob'));
    reader.write(upgradeOf('web'));
    await headersOf(reader);
    reader.write(Buffer.concat(Array.from({ length: 100 }, (_, n) => requestFrame(2 * n + 1, 'ReadStdout'))));
    // Nothing is read: the end of the connection follows what is on its way.
    await until(() => realm.service.counts.trusted === 1);
    assert.equal((await answerOf(writer.getGuestDetails({}))).code, 'OK');
  });
});

describe('the audit log of a guest', () => {
  const line = (sequence: number): Buffer =>
    Buffer.from(`{"sequence":${sequence},"x":"${'x'.repeat(1000)}"}`);

  /** Reads lines until `count` are there, or the answer ends; `whole` says whether it ended as it should. */
  async function readLog(
    t: TestContext,
    realm: TestRealm,
    path: string,
    count = Number.POSITIVE_INFINITY,
  ): Promise<{ readonly lines: readonly string[]; readonly whole: boolean }> {
    const { cert, key } = alice;
    const sent = request({ host: 'localhost', port: realm.port, agent: false, ca: ca.pem, cert, key, path });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'application/x-ndjson');
    t.after(() => response.destroy());
    let text = '';
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        text += part.toString();
        if (text.split('\n').length > count) break;
      }
      return { lines: text.split('\n').slice(0, -1), whole: response.complete };
    } catch {
      return { lines: text.split('\n').slice(0, -1), whole: false };
    }
  }

  it('from a record on, and those to come', async (t) => {
    const realm = await setUp(t);
    const web = guestOf('web');
    realm.guests.push(web);
    realm.past.push({ id: 'e'.repeat(64), name: 'ended' });
    for (const id of [web.id, 'e'.repeat(64)]) realm.logs.set(id, 'a file');
    const asked: unknown[] = [];
    let closed = 0;
    realm.readLog = async function* (id, from, follow, signal) {
      asked.push([id[0], from, follow]);
      yield [line(1), line(2)];
      try {
        if (follow) {
          yield [line(3)];
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        }
      } finally {
        closed += 1;
      }
    };
    const stored = await readLog(t, realm, '/v1/guests/web/audit');
    assert.deepEqual(stored, { lines: [line(1).toString(), line(2).toString()], whole: true });
    const followed = await readLog(t, realm, '/v1/guests/web/audit?from=1&follow=true', 3);
    assert.equal(followed.lines.length, 3);
    await until(() => closed === 2 && realm.service.counts.readers === 0);
    // A guest that is no longer connected has a log, but is in no list.
    assert.equal((await readLog(t, realm, '/v1/guests/ended/audit?follow=false&from=7')).whole, true);
    assert.equal((await ask(realm, alice, '/v1/guests/ended')).status, 404);
    assert.deepEqual(asked, [
      ['7', undefined, false],
      ['7', 1, true],
      ['e', 7, false],
    ]);
  });

  it('a reader that stops is dropped, what it is sent is bounded, and it can resume', async (t) => {
    const realm = await setUp(t, { limits: { stallMs: 300 } });
    const web = guestOf('web');
    realm.guests.push(web);
    realm.logs.set(web.id, 'a file');
    let produced = 0;
    realm.readLog = async function* (_id, from = 1) {
      for (let sequence = from; sequence <= from + 100_000; sequence += 16) {
        produced += 16;
        yield Array.from({ length: 16 }, (_, index) => line(sequence + index));
      }
    };
    const socket = await open(t, realm, alice);
    socket.write('GET /v1/guests/web/audit?follow=true HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => produced > 0);
    await until(() => realm.service.counts.readers === 0);
    assert.ok(produced < 20_000, `${produced} records of 1 kB are read for a reader that takes none`);
    const closed = once(
      socket.on('end', () => socket.end()),
      'close',
    );
    let text = '';
    socket.on('data', (part: Buffer) => (text += part.toString()));
    await closed;
    // The end of the chunks is missing: a client does not take this for the whole log.
    assert.ok(!text.endsWith('0\r\n\r\n'));
    const { lines } = await readLog(t, realm, '/v1/guests/web/audit?from=5000&follow=true', 100);
    assert.equal((JSON.parse(lines[0] ?? '') as { sequence: number }).sequence, 5000);
  });

  it('an error in the middle, and a lost right, end the answer early', async (t) => {
    const realm = await setUp(t, { limits: { readers: 2 } });
    const web = guestOf('web');
    realm.guests.push(web);
    realm.logs.set(web.id, 'a file');
    realm.readLog = async function* () {
      yield [line(1)];
      throw new Error('the disk is gone');
    };
    const broken = await readLog(t, realm, '/v1/guests/web/audit');
    assert.deepEqual([broken.lines.length, broken.whole], [1, false]);
    assert.match(realm.reported.join(), /the disk is gone/);
    realm.readLog = async function* (_id, _from, _follow, signal) {
      yield [line(1)];
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    const reading = [1, 2].map(() => readLog(t, realm, '/v1/guests/web/audit?follow=true'));
    await until(() => realm.service.counts.readers === 2);
    assert.equal((await ask(realm, alice, '/v1/guests/web/audit')).status, 429);
    realm.rights.set(uriOf('alice'), { verbs: ['list', 'connect'] });
    realm.service.recheck();
    for (const { lines, whole } of await Promise.all(reading))
      assert.deepEqual([lines.length, whole], [1, false]);
    assert.deepEqual(realm.denied().slice(1), ['audit web', 'audit web']);
  });
});

describe('hostile operators', () => {
  it('huge headers, bad HTTP and pipelined requests', async (t) => {
    const realm = await setUp(t);
    const table: readonly [bytes: string, answer: RegExp][] = [
      [`GET /v1/guests HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
      [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1\.1 431 /],
      ['GET /v1/guests HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
      [
        'GET /v1/guests HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
        /^HTTP\/1\.1 400 /,
      ],
      ['SSH-2.0-x\r\n', /^HTTP\/1\.1 400 /],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^(HTTP\/1\.1 4\d\d |$)/],
      ['CONNECT web:1 HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
      [
        `${'GET /v1/guests HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50)}GET / HTTP/1.1\r\nHost: x\r\n\r\n`,
        /^(HTTP\/1\.1 200 OK\r\n[^]*?\{"guests":\[\]\}\n){50}HTTP\/1\.1 404 /,
      ],
    ];
    for (const [bytes, pattern] of table) {
      const socket = await open(t, realm, alice);
      let text = '';
      socket.on('data', (part: Buffer) => (text += part.toString()));
      socket.write(bytes);
      await Promise.race([once(socket, 'end'), once(socket, 'close')]);
      socket.end();
      assert.match(text, pattern);
    }
    await until(() => realm.sockets.size === 0);
    assert.deepEqual(realm.reported, []);
  });

  it('200 half-open requests end, and others are served meanwhile', async (t) => {
    const realm = await setUp(t);
    const { guest } = await trustedGuest(t, 'x', { getGuestDetails: async () => ({}) });
    realm.guests.push(guestOf('web'), guest);
    const [near, far] = await socketPair(t);
    realm.open = async () => near;
    const idle = await open(t, realm, alice);
    idle.write(upgradeOf('web'));
    await headersOf(idle);
    const { agent } = await trusted(t, realm, alice, 'x');
    const halves: TLSSocket[] = [];
    // On a slow machine opening them takes longer than a request may take.
    const restoreTimeouts = realm.withoutTimeouts();
    for (let round = 0; round < 4; round += 1)
      halves.push(...(await Promise.all(Array.from({ length: 50 }, () => open(t, realm, alice)))));
    for (const [index, socket] of halves.entries())
      socket.resume().write(index % 2 === 0 ? 'GET /v1/gue' : upgradeOf('web').slice(0, -4));
    assert.equal((await ask(realm, alice, '/v1/guests')).status, 200);
    assert.ok(realm.sockets.size >= 2 + halves.length);
    restoreTimeouts();
    await until(() => realm.sockets.size === 2, 20_000);
    assert.equal((await ask(realm, alice, '/v1/guests')).status, 200);
    // Connections to guests are idle as long as they like.
    far.write('late');
    assert.equal(String((await once(idle, 'data'))[0]), 'late');
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
  });

  it('bytes of TCP that are not TLS, and clients that only connect', async (t) => {
    const realm = await setUp(t);
    const sockets = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = connectTcp(realm.port, '127.0.0.1');
        socket.on('error', () => undefined);
        t.after(() => socket.destroy());
        await once(socket, 'connect');
        if (index % 2 === 0) socket.write('GET / HTTP/1.1\r\n\r\n');
        return socket;
      }),
    );
    assert.equal((await ask(realm, alice, '/v1/guests')).status, 200);
    for (const socket of sockets) socket.destroy();
  });

  it('invalid ttRPC ends only its own connection', async (t) => {
    const realm = await setUp(t);
    const { guest } = await trustedGuest(t, 'web', { getGuestDetails: async () => ({}) });
    realm.guests.push(guest);
    const good = await trusted(t, realm, alice, 'web');
    const bad = await trusted(t, realm, alice, 'web');
    bad.socket.write(Buffer.alloc(64, 0xff));
    await once(bad.socket, 'close');
    assert.equal((await answerOf(good.agent.getGuestDetails({}))).code, 'OK');
  });
});
