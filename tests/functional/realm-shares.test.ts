import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../harness/authority.js';
import { guestIdentity, RawGuest } from '../harness/raw-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

const authorization = (one: string): string => `[[guest]]
name = "web"
configurations = ["*"]
max = 2

[[operator]]
peers = ["cn:eve"]
guests = ["web-${one}"]
verbs = ["list", "revoke"]

[[operator]]
peers = ["cn:carol"]
guests = ["web-*"]
verbs = ["list", "revoke"]

[[operator]]
peers = ["cn:alice", "cn:bob"]
guests = ["*"]
verbs = ["list"]
`;

describe('an operator who wants more than its share of a realm', () => {
  const home = new RealmHome(authorization('000000000000'));
  const alice = home.operators.client({ commonNames: ['alice'] });
  const bob = home.operators.client({ commonNames: ['bob'] });
  const sockets: TLSSocket[] = [];
  let realm: RealmProcess;

  before(async () => {
    realm = await RealmProcess.start(home);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(async () => {
    assert.equal(await realm.stop(), 0);
    // Nothing that operators left behind is waited for: it would be closed at the end of --drain.
    assert.doesNotMatch(realm.text(), /operators are still connected/);
    home.remove();
  });

  async function open({ cert, key }: ClientCertificate): Promise<TLSSocket> {
    const socket = connectTls({ port: home.ports.operators, host: 'localhost', ca: home.ca.pem, cert, key });
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'secureConnect');
    return socket;
  }

  async function ask(socket: TLSSocket, requests: string): Promise<string> {
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.write(requests);
    await new Promise((resolve) => socket.once('close', resolve));
    return text;
  }

  const request = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

  it('has a limited number of connections, and others are served', async () => {
    for (let made = 0; made < 140; made += 10)
      await Promise.all(Array.from({ length: 10 }, () => open(alice)));
    await until(
      'those over the limit are closed',
      () => sockets.filter(({ readyState }) => readyState !== 'closed').length === 128,
    );
    assert.match(
      await ask(await open(bob), request('/v1/guests', 'Connection: close\r\n')),
      /^HTTP\/1\.1 200 /,
    );
    await until('it is logged', () =>
      realm.log.some(({ why }) => why === 'the operator has 128 connections'),
    );
  });

  it('revokes for an entry only if it may for all guests of it', async () => {
    const identity = await guestIdentity();
    const one = identity.pin.replace('spki:sha256:', '').slice(0, 12);
    home.write('realm.toml', authorization(one));
    realm.process.kill('SIGHUP');
    await realm.logged('files read again');
    const revoked: string[] = [];
    const guests = await Promise.all(
      [identity, await guestIdentity()].map((each, n) =>
        RawGuest.serve({
          port: home.ports.guests,
          identity: each,
          management: {
            revokePeer: async ({ peer }) => {
              revoked.push(`${n} ${peer}`);
              return { closed: 0 };
            },
          },
        }),
      ),
    );
    await realm.logged('guest accepted', 2);
    const body = '{"peer":"cn:x"}';
    const head = `POST /v1/guests/web-${one}/revocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
    const post = `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const [eve, carol] = ['eve', 'carol'].map((name) => home.operators.client({ commonNames: [name] }));
    assert.ok(eve && carol);
    assert.match(await ask(await open(eve), post), /^HTTP\/1\.1 403 .*counts for all guests of the entry/s);
    assert.deepEqual(revoked, []);
    assert.match(await ask(await open(carol), post), /^HTTP\/1\.1 200 /);
    await until('both know it', () => revoked.length === 2);
    for (const { socket } of guests) socket.destroy();
  });

  it('has one request at a time in a connection, and leaves nothing that lasts', async () => {
    const text = await ask(await open(alice), request('/v1/guests/none').repeat(8));
    assert.equal(text.match(/HTTP\/1\.1/g)?.length ?? 0, 0);
    const upgrade = request('/guests/none', 'Connection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n');
    await ask(await open(alice), request('/v1/guests/none') + upgrade);
    await until('it is logged', () => realm.log.some(({ why = '' }) => /before the answer/.test(why)));
    // One after the other is as always.
    const socket = await open(bob);
    for (const more of ['', 'Connection: close\r\n']) {
      const answered = once(socket, 'data');
      socket.write(request('/v1/guests', more));
      assert.match(String(await answered), /^HTTP\/1\.1 200 /);
    }
  });
});

describe('an operator who has revoked as many as it can', () => {
  const home = new RealmHome(authorization('000000000000'));
  const path = join(home.store, 'revocations.json');
  const by = createHash('sha256').update('cn:carol').digest('hex');
  const entry = 'web';
  const revocations = Array.from({ length: 1024 }, (_, n) => ({
    entry,
    peer: `cn:junk-${n}`,
    serial: '',
    issuer: '',
    at: '2026-01-01T00:00:00Z',
    by,
  }));
  let realm: RealmProcess;
  let guest: RawGuest;
  const revoked: string[] = [];

  before(async () => {
    mkdirSync(home.store, { mode: 0o700 });
    writeFileSync(path, JSON.stringify({ version: 1, revocations }), { mode: 0o600 });
    realm = await RealmProcess.start(home);
    const more = '\n[[operator]]\npeers = ["cn:dora"]\nguests = ["*"]\nverbs = ["list", "revoke"]\n';
    home.write('realm.toml', `${authorization('000000000000')}${more}`);
    realm.process.kill('SIGHUP');
    await realm.logged('files read again');
    guest = await RawGuest.serve({
      port: home.ports.guests,
      identity: await guestIdentity(),
      management: {
        revokePeer: async ({ peer }) => {
          revoked.push(peer);
          return { closed: 0 };
        },
      },
    });
    await realm.logged('guest accepted');
    assert.equal(revoked.splice(0).length, 1024);
  });
  after(async () => {
    guest.socket.destroy();
    assert.equal(await realm.stop(), 0);
    home.remove();
  });

  async function revoke(name: string, peer: string): Promise<string> {
    const { cert, key } = home.operators.client({ commonNames: [name] });
    const socket = connectTls({ port: home.ports.operators, host: 'localhost', ca: home.ca.pem, cert, key });
    await once(socket, 'secureConnect');
    const body = JSON.stringify({ peer });
    const [{ guest: named = '' } = {}] = realm.log.filter(({ msg }) => msg === 'guest accepted');
    socket.write(
      `POST /v1/guests/${named}/revocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    await once(socket, 'close');
    return text;
  }

  it('makes no more of them, and the guest is not told', async () => {
    assert.match(
      await revoke('carol', 'cn:dora'),
      /^HTTP\/1\.1 429 .*"too_many".*you have made 1024 revocations/s,
    );
    assert.deepEqual(revoked, []);
  });

  it('can repeat one of them', async () => {
    assert.match(await revoke('carol', 'cn:junk-7'), /^HTTP\/1\.1 200 /);
    assert.deepEqual(revoked.splice(0), ['cn:junk-7']);
  });

  it('is revoked by another operator', async () => {
    assert.match(await revoke('dora', 'cn:carol'), /^HTTP\/1\.1 200 /);
    assert.deepEqual(revoked, ['cn:carol']);
    assert.match(readFileSync(path, 'utf8'), /"cn:carol"/);
  });
});
