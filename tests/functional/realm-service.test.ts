import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { openAuditLog } from '@kata-agent/audit';
import { limitUnacknowledged, loadSyscalls } from '@kata-agent/linux';
import {
  type OperatorContext,
  type OperatorHandler,
  type Realm,
  RealmFileError,
  type RealmOptions,
  startRealm,
  StoreError,
} from '@kata-agent/realm';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { certificatesOfPem, parseCertificate } from '@kata-agent/x509';
import type { ClientCertificate } from '../harness/authority.js';
import { guestIdentity, RawGuest, type RawGuestOptions } from '../harness/raw-guest.js';
import { RealmHome, until } from '../harness/realm-process.js';

const authorization = `[[guest]]
name = "web"
configurations = ["*"]
max = 9

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list", "connect"]
`;

/** Answers every request of an operator with 501. */
const noOperators: OperatorHandler = {
  request: async (_request, response) => void response.writeHead(501).end(),
  upgrade: async (_request, socket) => void socket.destroy(),
  remote: { serve: () => undefined, revoke: async () => ({ closed: 0 }), joined: () => undefined },
  recheck: () => undefined,
  named: () => undefined,
  close: () => undefined,
  counts: { operatorTls: 0, trusted: 0, readers: 0, bytes: { toGuest: 0, toOperator: 0 } },
};

interface Running {
  readonly realm: Realm;
  readonly home: RealmHome;
  readonly backend: OperatorContext;
  readonly logged: readonly (readonly [message: string, extras: string])[];
  readonly guest: (more?: Partial<RawGuestOptions>) => Promise<RawGuest>;
  readonly options: RealmOptions;
}

async function run(
  t: Pick<TestContext, 'after'>,
  change: Partial<RealmOptions> & { readonly service?: Partial<OperatorHandler> } = {},
): Promise<Running> {
  const home = new RealmHome(authorization);
  const logged: [string, string][] = [];
  let backend: OperatorContext | undefined;
  const { service = {}, ...rest } = change;
  const any = { host: '127.0.0.1', port: 0 };
  const options: RealmOptions = {
    guests: any,
    operators: any,
    metrics: any,
    files: home.files,
    allowUnattested: true,
    store: home.store,
    maxLogPerGuest: 1 << 28,
    storeMax: 2 ** 40,
    drainMs: 2_000,
    version: '9.9',
    log: (_level, message, extras = {}) => void logged.push([message, JSON.stringify(extras)]),
    tryLock: (fd) => loadSyscalls().tryLock(fd),
    limitUnacknowledged: (socket, limitMs) => limitUnacknowledged(loadSyscalls(), socket, limitMs),
    operatorHandler: (given) => {
      backend = given;
      return { ...noOperators, ...service };
    },
    ...rest,
  };
  const realm = await startRealm(options);
  t.after(async () => {
    await realm.close();
    home.remove();
  });
  home.ports = { ...realm.ports, metrics: realm.ports.metrics ?? 0 };
  assert.ok(backend);
  const guest = async (more: Partial<RawGuestOptions> = {}): Promise<RawGuest> =>
    await RawGuest.serve({ port: realm.ports.guests, identity: await guestIdentity(), ...more });
  return { realm, home, backend, logged, guest, options };
}

describe('a realm whose store is full', () => {
  it('accepts guests and serves their logs, says that it is not ready, and collects when there is room', async (t) => {
    const storeMax = 1 << 20;
    const directory = mkdtempSync(join(tmpdir(), 'kata-realm-full-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'audit.log');
    const log = await openAuditLog({ file, maxSize: storeMax, keep: 1, bootId: 'x' });
    await log.boot({});
    await log.close();
    const boot = Buffer.from(readFileSync(file, 'latin1').split('\n')[0] ?? '', 'latin1');
    const store = join(directory, 'store');
    const gone = join(store, 'guests', 'f'.repeat(64));
    for (const path of [store, join(store, 'guests'), gone]) mkdirSync(path, { mode: 0o700 });
    const large = join(gone, `${'0'.repeat(32)}.log`);
    writeFileSync(large, 'x\n'.repeat(storeMax / 2));
    const times = { retryMs: 100, syncMs: 50 };
    const { guest, home, backend, logged } = await run(t, { storeMax, times, store });
    const get = async (path: string): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${home.ports.metrics}${path}`);
      return `${response.status} ${await response.text()}`;
    };
    assert.match(await get('/readyz'), /^503 /);
    assert.match(await get('/metrics'), /^kata_realm_store_full 1$/m);
    assert.match(await get('/metrics'), /^kata_realm_store_bytes 1064960$/m);
    const full = logged.filter(([message]) => /ALERT: the store is full/.test(message));
    assert.match(full.join(), /have 1064960 bytes, and --store-max is 1048576/);
    const asked: bigint[] = [];
    await guest({
      management: {
        watchAudit: async function* ({ from }) {
          asked.push(from ?? 0n);
          yield { records: [boot] };
          await new Promise(() => undefined);
        },
      },
    });
    const state = (): string | undefined => {
      const [live] = backend.guests.list();
      return live && backend.logs.stateOf(live.id)?.state;
    };
    await until('it is accepted, and its log is not stored', () => state() === 'failed');
    assert.equal(statSync(large).size, storeMax, 'nothing is removed');
    assert.deepEqual(readdirSync(join(store, 'guests')).length, 1, 'and no new guest is stored');
    assert.equal(
      logged.some(([message]) => /cannot be stored/.test(message)),
      false,
      'it is said once, and not for each guest',
    );
    rmSync(gone, { recursive: true });
    await until('its log is stored', () => state() === 'verified');
    assert.ok(asked.length > 1 && asked.every((from) => from === 1n));
    await until('it is ready', async () => (await get('/readyz')).startsWith('200 '));
    assert.match(await get('/metrics'), /^kata_realm_store_full 0$/m);
    assert.ok(logged.some(([message]) => /the store has room again/.test(message)));
  });
});

describe('a guest of a realm', () => {
  it('receives revocations before it is seen, and after each new connection', async (t) => {
    const { guest, backend, home } = await run(t);
    const revoked: string[] = [];
    let seen: readonly string[] = [];
    const management: RawGuestOptions['management'] = {
      revokePeer: async ({ peer, serial, issuer }) => {
        revoked.push(peer === '' ? `${serial} ${issuer}` : peer);
        await delay(20);
        seen = backend.guests.list().map(({ id }) => id);
        return { closed: 3 };
      },
    };
    const first = await guest({ management });
    await until('it is accepted', () => backend.guests.list().length === 1);
    const [target] = backend.guests.list();
    assert.ok(target);
    assert.deepEqual(await backend.revoke(target, { peer: 'cn:eve' }, { name: 'cn:ann' }), { closed: 3 });
    await backend.revoke(target, { serial: 'ab', issuer: 'CN=CA' }, { name: 'cn:ann' });
    // Equal ones take no further place.
    await backend.revoke(target, { peer: 'cn:eve' }, { name: 'cn:ann' });
    first.socket.destroy();
    await until('it is gone', () => backend.guests.list().length === 0);
    revoked.length = 0;
    // Another boot: another key, and the same entry.
    await guest({ management });
    await until('it is accepted', () => backend.guests.list().length === 1);
    assert.deepEqual(revoked, ['cn:eve', 'ab CN=CA']);
    assert.deepEqual(seen, [], 'it was seen before it knew them');
    const file = join(home.store, 'revocations.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, 'utf8'), /"entry": "web"/);
    assert.ok(home.decisions().some(({ method, kind }) => method === 'RevokePeer' && kind === 'intent'));
  });

  it('is not told to revoke the certificate of the realm', async (t) => {
    const { backend, home } = await run(t);
    const { certificate } = home;
    const { serial, issuerText } = parseCertificate(
      certificatesOfPem(certificate.cert)[0] ?? Buffer.alloc(0),
    );
    for (const own of [
      { peer: `spki:sha256:${certificate.spki()}` },
      { peer: 'dns:localhost' },
      { peer: 'cn:server' },
      { serial: `00${serial.toUpperCase()}`, issuer: issuerText },
    ])
      assert.equal(backend.isOwn(own), true, JSON.stringify(own));
    for (const other of [
      { peer: 'cn:eve' },
      { peer: `spki:sha256:${'0'.repeat(64)}` },
      { serial, issuer: 'CN=another CA' },
    ])
      assert.equal(backend.isOwn(other), false, JSON.stringify(other));
  });

  it('opens a connection when it is asked, which another guest cannot take', async (t) => {
    const { guest, backend, realm } = await run(t);
    const identity = await guestIdentity();
    const thief = await guestIdentity();
    const answers: string[] = [];
    const open = async (token: string, of = identity): Promise<RawGuest> => {
      const dialled = await RawGuest.dial({ port: realm.ports.guests, identity: of });
      answers.push(
        (await dialled.upgrade('kata-agent-relay/1', `Kata-Agent-Connection: ${token}\r\n`)).slice(9, 12),
      );
      return dialled;
    };
    let far: RawGuest | undefined;
    let mode: 'open' | 'fail' | 'silent' = 'open';
    await guest({
      identity,
      relay: {
        openConnection: async ({ token }) => {
          if (mode === 'fail') throw new TtrpcError(Code.ResourceExhausted, 'too many');
          if (mode === 'silent') return {};
          const hex = Buffer.from(token).toString('hex');
          await open(hex, thief);
          far = await open(hex);
          await open(hex);
          return {};
        },
      },
    });
    await until('it is accepted', () => backend.guests.list().length === 1);
    const [target] = backend.guests.list();
    assert.ok(target !== undefined && target.holder === undefined);
    const near: Duplex = await backend.openConnection(target, []);
    // Of another guest; then it; then once more.
    assert.deepEqual(answers, ['404', '101', '404']);
    near.write('to the guest');
    far?.socket.write('to the operator');
    assert.equal(String((await once(near, 'data'))[0]), 'to the operator');
    assert.equal(String((await once(far?.socket ?? near, 'data'))[0]), 'to the guest');
    near.destroy();
    await far?.closed;
    mode = 'fail';
    await assert.rejects(backend.openConnection(target, []), /too many/);
  });
});

async function operatorSocket(
  realm: Realm,
  { cert, key }: Pick<ClientCertificate, 'cert' | 'key'>,
): Promise<TLSSocket> {
  const socket = connectTls({
    port: realm.ports.operators,
    host: '127.0.0.1',
    cert,
    key,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]);
  return socket;
}

async function statusOf(realm: Realm, certificate: Partial<ClientCertificate>): Promise<number | string> {
  const { cert, key } = certificate;
  return await new Promise((resolve) => {
    const asked = httpsRequest({
      port: realm.ports.operators,
      host: '127.0.0.1',
      path: '/v1/guests',
      rejectUnauthorized: false,
      agent: false,
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    });
    asked.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

describe("a realm's listener for operators", () => {
  it('gives each request its operator, and takes it back with the authorization', async (t) => {
    const names: (string | undefined)[] = [];
    const { realm, home, logged } = await run(t, {
      service: {
        request: async (_request, response, source) => {
          names.push(source()?.name);
          response.writeHead(source() === undefined ? 403 : 200).end();
        },
      },
    });
    const alice = home.operators.client({ commonNames: ['alice'] });
    assert.equal(await statusOf(realm, alice), 200);
    assert.equal(await statusOf(realm, home.operators.client({ commonNames: ['eve'] })), 403);
    assert.deepEqual(names, ['cn:alice', undefined]);
    await until('it is recorded', () => JSON.stringify(home.decisions()).includes('"KA3302"'));
    for (const [what, certificate] of [
      ['none', {}],
      ['of another CA', home.ca.client({ commonNames: ['alice'] })],
      ['that has expired', home.operators.client({ commonNames: ['alice'], notAfter: Date.now() - 1_000 })],
      ['of a server', home.operators.server(['alice'], { commonNames: ['alice'] })],
      ['without usages', home.operators.client({ commonNames: ['alice'], usages: null })],
    ] as const)
      assert.match(String(await statusOf(realm, certificate)), /^[A-Z]/, what);
    assert.equal(names.length, 2);

    // An open connection, too, loses what the file no longer allows.
    const open = await operatorSocket(realm, alice);
    home.write('realm.toml', authorization.replace('alice', 'bob'));
    await realm.reload();
    await once(open.resume(), 'close');
    assert.equal(await statusOf(realm, alice), 403);

    home.write('realm.toml', 'wrong');
    await realm.reload();
    assert.ok(
      logged.some(
        ([message, extras]) => message.includes('nothing has changed') && extras.includes('realm.toml:1'),
      ),
    );
    assert.equal(await statusOf(realm, home.operators.client({ commonNames: ['bob'] })), 200);
    const reloadsOf = () => home.decisions().filter(({ method }) => method === '(reload)');
    await until('both are recorded', () => reloadsOf().length === 2);
    const reloads = reloadsOf();
    assert.deepEqual(
      reloads.map(({ result }) => (result as { code: string }).code),
      ['OK', 'FAILED_PRECONDITION'],
    );
  });

  it('refuses revoked operators after a reload of the list', async (t) => {
    const home = new RealmHome(authorization);
    const alice = home.operators.client({ commonNames: ['alice'] });
    const bob = home.operators.client({ commonNames: ['alice'] });
    home.write('operators.crl', home.operators.revocationList([bob.serial()]));
    const at = (name: string): string => join(home.directory, name);
    const { realm } = await run(t, {
      store: home.store,
      files: {
        cert: at('realm.pem'),
        key: at('realm.key'),
        operatorCa: at('operators.pem'),
        operatorCrl: at('operators.crl'),
        authorization: at('realm.toml'),
      },
    });
    assert.equal(await statusOf(realm, alice), 501);
    assert.match(String(await statusOf(realm, bob)), /^[A-Z]/);
    // One that is connected already.
    const { ca, operators } = home;
    const tls = { ...operators.client({ commonNames: ['alice'] }), ca: ca.pem, servername: 'localhost' };
    const other = connectTls({ ...tls, port: realm.ports.operators, host: '127.0.0.1' });
    const open = connectTls({ ...tls, ...alice, port: realm.ports.operators, host: '127.0.0.1' });
    for (const socket of [other, open])
      await once(
        socket.on('error', () => undefined),
        'secureConnect',
      );
    await delay(100);
    home.write('operators.crl', home.operators.revocationList([bob.serial(), alice.serial()]));
    await realm.reload();
    await once(open.resume(), 'close');
    assert.equal(other.destroyed, false);
    other.destroy();
    assert.match(String(await statusOf(realm, alice)), /^[A-Z]/);
    home.remove();
  });

  it('gets a new certificate with a reload, without losing guests', async (t) => {
    const { realm, home, guest, backend } = await run(t);
    const first = await guest();
    await until('it is accepted', () => backend.guests.list().length === 1);
    const other = home.ca.server(['localhost']);
    home.write('realm.pem', other.cert);
    home.write('realm.key', other.key);
    await realm.reload();
    const next = await guest();
    const { raw } = next.socket.getPeerX509Certificate() ?? assert.fail();
    assert.ok(other.cert.replaceAll('\n', '').includes(raw.toString('base64').slice(0, 60)));
    assert.equal(first.socket.destroyed, false);
    home.write('realm.key', home.certificate.key);
    await realm.reload();
    assert.equal(await statusOf(realm, home.operators.client({ commonNames: ['alice'] })), 501);
  });
});

describe('a reload of the authorization file', () => {
  it('closes guests that it no longer accepts under their name, and keeps others', async (t) => {
    const { realm, home, guest, backend } = await run(t);
    const identity = await guestIdentity();
    const kept = await guest({ identity });
    const dropped = await guest();
    await until('both are accepted', () => backend.guests.list().length === 2);
    home.write('realm.toml', authorization.replace('configurations = ["*"]', `keys = ["${identity.pin}"]`));
    await realm.reload();
    await dropped.closed;
    await delay(50);
    assert.equal(kept.socket.destroyed, false);
    home.write('realm.toml', authorization.replace('"web"', '"other"'));
    await realm.reload();
    await kept.closed;
    const renamed = await guest({ identity });
    await until('it has the new name', () => backend.guests.list()[0]?.name.startsWith('other-') === true);
    renamed.socket.destroy();
  });
});

describe('the end of a realm', () => {
  for (const [what, leaves, drainMs] of [
    ['waits for operators', true, 20_000],
    ['closes operators that stay beyond --drain', false, 300],
  ] as const)
    it(what, async (t) => {
      const upgraded: Duplex[] = [];
      const { realm, home, guest, backend, options } = await run(t, {
        drainMs,
        service: {
          upgrade: async (_request, socket) => {
            upgraded.push(socket);
            socket.resume().once('end', () => socket.end());
            socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
          },
        },
      });
      const dialled = await guest();
      await until('it is accepted', () => backend.guests.list().length === 1);
      const operator = await operatorSocket(realm, home.operators.client({ commonNames: ['alice'] }));
      operator.write('GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      await once(operator.resume(), 'data');
      const ready = async (): Promise<number> =>
        (await fetch(`http://127.0.0.1:${home.ports.metrics}/readyz`)).status;
      assert.equal(await ready(), 200);
      const closed = realm.close();
      assert.equal(await ready(), 503);
      await delay(100);
      assert.equal(dialled.socket.destroyed, false, 'guests stay while operators do');
      const late = operatorSocket(realm, home.operators.client({ commonNames: ['alice'] }));
      await assert.rejects(late, /ECONNREFUSED/, 'no new operators');
      if (leaves) operator.destroy();
      const begin = performance.now();
      await closed;
      assert.ok(performance.now() - begin < 5_000);
      await dialled.closed;
      if (!operator.destroyed) await once(operator, 'close');
      assert.equal(upgraded.length, 1);
      const kinds = home.decisions().map(({ kind }) => kind);
      assert.equal(kinds.filter((kind) => kind === 'outcome').length, 1);
      // The store is free again.
      const next = await startRealm({ ...options, metrics: undefined });
      await next.close();
    });
});

describe('a realm that cannot start', () => {
  it('says what is wrong with its files and its store, and leaves nothing open', async (t) => {
    const { options, home } = await run(t);
    await assert.rejects(startRealm(options), (error) => {
      assert.ok(error instanceof StoreError);
      assert.match(error.message, /is in use by another realm/);
      return true;
    });
    const other = { ...options, store: join(home.directory, 'open') };
    mkdirSync(other.store, { mode: 0o755 });
    await assert.rejects(startRealm(other), /is open to other users: its mode is 755/);
    writeFileSync(join(home.directory, 'empty.pem'), '');
    for (const [files, revoked] of [
      [{ operatorCa: join(home.directory, 'empty.pem') }, /--operator-ca has no PEM certificate/],
      [{ operatorCa: join(home.directory, 'realm.pem') }, /is not that of a CA/],
      [{ operatorCrl: join(home.directory, 'empty.pem') }, /--operator-crl has no PEM/],
      [{ cert: join(home.directory, 'empty.pem') }, /do not fit/],
      [{ key: join(home.directory, 'missing.pem') }, /--key: cannot read .*missing\.pem: ENOENT/],
    ] as const)
      await assert.rejects(
        startRealm({ ...options, store: join(home.directory, 'new'), files: { ...options.files, ...files } }),
        (error) => error instanceof RealmFileError && revoked.test(error.message),
      );
    await assert.rejects(
      startRealm({
        ...options,
        store: join(home.directory, 'new'),
        guests: { host: '127.0.0.1', port: home.ports.guests },
      }),
      /--guests 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });
});
