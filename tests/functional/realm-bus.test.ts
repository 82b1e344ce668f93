import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BusAttacker } from '../harness/bus-attacker.js';
import { guestIdentity, RawGuest, type RawGuestOptions } from '../harness/raw-guest.js';
import { RealmOperator } from '../harness/realm-operator.js';
import { type RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import {
  echoGuest,
  listed,
  replicasAuthorization,
  type ReplicasSetup,
  setUpReplicas,
} from '../harness/realm-replicas.js';

const evilGuest = 'e'.repeat(64);
const evilReplica = 'ee'.repeat(16);

/** What a replica writes of a guest that it holds. */
function entryOf(change: Readonly<Record<string, unknown>> = {}): object {
  return {
    id: evilGuest,
    name: `many-${evilGuest.slice(0, 12)}`,
    entry: 'many',
    relay: 'trusted',
    attested: false,
    described: { version: '1', bootId: 'b', configurationDigest: `sha256:${'2'.repeat(64)}` },
    connectedAt: 1_700_000_000_000,
    log: { state: 'none', records: 0, lastSequence: 0 },
    replica: evilReplica,
    epoch: 0,
    ...change,
  };
}

async function attack(
  t: Pick<TestContext, 'after'>,
  count = 2,
  authorization?: string,
): Promise<ReplicasSetup & { readonly attacker: BusAttacker }> {
  const setup = await setUpReplicas(t, count, authorization === undefined ? {} : { authorization });
  const attacker = await BusAttacker.connect(setup.nats);
  t.after(async () => await attacker.close());
  return { ...setup, attacker };
}

function assertAlive({ replicas }: ReplicasSetup): void {
  for (const replica of replicas) assert.equal(replica.process.exitCode, null, replica.text());
}

/** A guest that says which revocations it was told. */
async function obedientGuest(
  port: number,
  revoked: string[],
  more: Partial<RawGuestOptions> = {},
): Promise<RawGuest> {
  return await echoGuest({
    ...more,
    port,
    management: {
      describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '1'.repeat(64) }),
      revokePeer: async ({ peer }) => {
        revoked.push(peer);
        return { closed: 0 };
      },
    },
  });
}

function keyOf(entry: string, peer: string): string {
  const text = JSON.stringify([entry, peer, '', '']);
  return `r.${createHash('sha256').update(text).digest('hex')}`;
}

describe('somebody with the credentials of a replica', () => {
  it('ends no other replica with messages that none sends', { timeout: 120_000 }, async (t) => {
    const setup = await attack(t);
    const { attacker, homes, alice, replicas } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const guest = await echoGuest({ port: b.guests });
    await until('A shows the guest', async () => (await listed(setup, 0)).length === 1);
    let answer = '';
    await attacker.answer('kata.realm.token.*', () => answer);
    await attacker.answer(`kata.realm.replica.${evilReplica}`, () => answer);
    const pipe = 'a'.repeat(64);
    const identity = await guestIdentity();
    for (answer of [
      'null',
      '[]',
      '{"pipe":"zz"}',
      '{"pipe":5}',
      `{"pipe":"${pipe}"}`,
      `{"pipe":"${pipe}","guest":{"id":"x","name":"web"},"certificates":[]}`,
      `{"pipe":"${pipe}","guest":{"id":"${'b'.repeat(64)}","name":"web"},"certificates":[1]}`,
    ]) {
      const further = await RawGuest.dial({ port: a.guests, identity });
      const token = `Kata-Agent-Connection: ${'a'.repeat(64)}\r\n`;
      assert.match(await further.upgrade('kata-agent-relay/1', token), /^HTTP\/1.1 404 /, answer);
      further.socket.destroy();
    }
    const refusal = (status: unknown, message = 'm'): string =>
      JSON.stringify({ ok: false, refusal: { status, code: 'x', message } });
    await attacker.put('live', `g.${evilGuest}`, entryOf());
    await until('A shows the guest of the attacker', async () => (await listed(setup, 0)).length === 2);
    for (answer of [
      'null',
      '{}',
      '{"ok":false}',
      '{"ok":true,"closed":"x"}',
      '{"ok":false,"refusal":null}',
      refusal('200 OK\r\nX-Evil: 1\r\n\r\nhello'),
      refusal(0),
      refusal(99_999),
      refusal(101),
      refusal(200),
      refusal(403, 'a\u001b[2J'),
      refusal(403, 'x'.repeat(900_000)),
    ]) {
      // A lease of its own would last for 15 s.
      await attacker.put('live', `g.${evilGuest}`, entryOf());
      const name = `many-${evilGuest.slice(0, 12)}`;
      const { status, body } = await alice.request(a.operators, `/v1/guests/${name}/revocations`, {
        method: 'POST',
        body: '{"peer":"cn:x"}',
      });
      assert.equal(status, 503, `${answer}: ${body}`);
      if (answer.startsWith('{"ok":true')) continue;
      const { head, socket } = await alice.connect(a.operators, name);
      assert.match(head, /^HTTP\/1.1 503 /, answer);
      socket.destroy();
    }
    const { replica, epoch } = await attacker.holderOf((await listed(setup, 1))[0]?.id ?? '');
    const asked = { kind: 'revoke', guest: guest.socket.remoteAddress, epoch, certificates: [], from: 'x' };
    for (const request of ['null', '5', '{}', '[', asked, { ...asked, certificates: ['x', 5] }])
      await attacker.publish(`kata.realm.replica.${replica}`, request);
    assertAlive(setup);
    await until(
      'they are counted',
      async () => (await replicas[1]?.metric('kata_realm_bus_malformed_total')) === 6,
    );
    assert.equal((await alice.request(b.operators, '/v1/guests')).status, 200);
    guest.socket.destroy();
  });

  it('shows operators no guest that a replica could not hold', { timeout: 60_000 }, async (t) => {
    const keyed = `
[[guest]]
name = "web"
keys = ["spki:sha256:${'a'.repeat(64)}"]

[[guest]]
name = "many"
configurations = ["*"]
max = 100

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list", "connect", "audit"]
`;
    const setup = await attack(t, 1, keyed);
    const { attacker, alice, homes } = setup;
    const port = homes[0]?.ports.operators ?? 0;
    const show = async (value: unknown): Promise<number> => {
      await attacker.put('live', `g.${evilGuest}`, value);
      // Of a second key, which arrives after the first.
      const marker = 'd'.repeat(64);
      const name = `many-${marker.slice(0, 12)}`;
      await attacker.put('live', `g.${marker}`, entryOf({ id: marker, name }));
      await until('the second is shown', async () =>
        (await listed(setup, 0)).some(({ id }) => id === marker),
      );
      const others = (await listed(setup, 0)).length - 1;
      await attacker.put('live', `g.${marker}`, 'null');
      await until('it is not', async () => !(await listed(setup, 0)).some(({ id }) => id === marker));
      return others;
    };
    assert.equal(await show(entryOf()), 1);
    for (const value of [
      'null',
      '5',
      '[',
      entryOf({ name: undefined }),
      entryOf({ name: 5 }),
      entryOf({ name: ['web'] }),
      entryOf({ name: '\u001b[2Jmany' }),
      entryOf({ name: 'x'.repeat(800_000) }),
      entryOf({ id: 'd'.repeat(64) }),
      entryOf({ entry: '' }),
      entryOf({ log: undefined }),
      entryOf({ log: { state: 'fine', records: 0, lastSequence: 0 } }),
      entryOf({ connectedAt: 'x' }),
      entryOf({ connectedAt: 1e16 }),
      entryOf({ relay: 'trusted\r\nX-Evil: 1' }),
      entryOf({ attested: 'yes' }),
      entryOf({ described: { version: {}, bootId: 5 } }),
      entryOf({ replica: '>' }),
      entryOf({ epoch: '7' }),
      // A key that [[guest]] "web" does not name, and names that the entries do not give.
      entryOf({ name: 'web', entry: 'web' }),
      entryOf({ name: 'many' }),
      entryOf({ name: 'other', entry: 'other' }),
    ])
      assert.equal(await show(value), 0, JSON.stringify(value).slice(0, 80));
    for (const value of ['null', '5', '{}', '{"described":{}}', { described: { id: evilGuest, name: 5 } }])
      await attacker.put('known', `g.${evilGuest}`, value);
    const { status } = await alice.request(port, '/v1/guests/gone/audit');
    assert.equal(status, 404);
    assertAlive(setup);
  });

  it('holds no places with pipes that it does not use', { timeout: 60_000 }, async (t) => {
    const setup = await attack(t, 1);
    const { attacker, home, homes, replicas, alice } = setup;
    const port = homes[0]?.ports;
    assert.ok(port);
    const revoked: string[] = [];
    const guest = await obedientGuest(port.guests, revoked, { headers: 'Kata-Agent-Relay: trusted\r\n' });
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const id = (await listed(setup, 0))[0]?.id ?? '';
    // A certificate is no secret.
    const certificate = home.operators.client({ commonNames: ['alice'] });
    let opened = 0;
    for (let count = 0; count < 80; count += 1) {
      const { ok } = await attacker.askConnect(id, certificate, randomBytes(32).toString('hex'));
      opened += ok === true ? 1 : 0;
    }
    // As many as an operator has to one guest.
    assert.equal(opened, 16);
    assert.equal(await replicas[0]?.metric('kata_realm_bus_pipes'), 16);
    // Who is connected here has places of their own.
    const { head, socket } = await alice.connect(port.operators, 'web');
    assert.match(head, /^HTTP\/1.1 101 /);
    socket.destroy();
    await until(
      'the pipes have ended',
      async () => (await replicas[0]?.metric('kata_realm_bus_pipes')) === 0,
      20_000,
    );
    await until('their places are free', async () => {
      return (await replicas[0]?.metric('kata_realm_operator_uses{kind="trusted"}')) === 0;
    });
    guest.socket.destroy();
  });

  it('takes no revocation back, also for replicas that start later', { timeout: 60_000 }, async (t) => {
    const setup = await attack(t);
    const { attacker, homes, alice, nats, replicas } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const revoked: string[] = [];
    // The dead replica has its name for some time.
    const identity = await guestIdentity();
    let guest = await obedientGuest(b.guests, revoked, { identity });
    await until('A shows the guest', async () => (await listed(setup, 0)).length === 1);
    const { status } = await alice.request(a.operators, '/v1/guests/web/revocations', {
      method: 'POST',
      body: '{"peer":"cn:mallory"}',
    });
    assert.equal(status, 200);
    const key = `$KV.kata-realm-revocations.${keyOf('web', 'cn:mallory')}`;
    const stored = async (): Promise<string> => {
      const reply = await attacker.nc.request(
        '$JS.API.STREAM.MSG.GET.KV_kata-realm-revocations',
        JSON.stringify({ last_by_subj: key }),
      );
      const { message } = reply.json<{ message?: { data?: string } }>();
      return Buffer.from(message?.data ?? '', 'base64').toString();
    };
    assert.match(await stored(), /cn:mallory/);
    for (const [value, head] of [
      ['', { 'KV-Operation': 'DEL' }],
      ['', { 'KV-Operation': 'PURGE', 'Nats-Rollup': 'sub' }],
      ['', { 'Nats-Rollup': 'all' }],
      [`{"entry":"web","peer":"cn:nobody","serial":"","issuer":"","at":"x","by":"${'a'.repeat(64)}"}`, {}],
    ] as const) {
      await attacker.publish(key, value, head);
      await until('it is there again', async () => (await stored()).includes('cn:mallory'), 5_000);
    }
    // Without any other replica, and with a bus that has lost all of it.
    for (const replica of replicas) await replica.stop('SIGKILL');
    await attacker.publish(key, '', { 'KV-Operation': 'DEL' });
    replicas[1] = await RealmProcess.start(homes[1] as RealmHome, nats.options);
    guest.socket.destroy();
    revoked.length = 0;
    guest = await obedientGuest(b.guests, revoked, { identity });
    await until('the guest is accepted', async () => {
      return (await replicas[1]?.metric('kata_realm_guests_accepted_total')) === 1;
    });
    assert.deepEqual(revoked, ['cn:mallory']);
    await until('it is on the bus', async () => (await stored()).includes('cn:mallory'));
    guest.socket.destroy();
  });

  it('makes no guest revoke the realm, or something that is not a revocation', {
    timeout: 60_000,
  }, async (t) => {
    const setup = await attack(t, 1);
    const { attacker, home, homes, replicas } = setup;
    const revoked: string[] = [];
    const port = homes[0]?.ports.guests ?? 0;
    const guest = await obedientGuest(port, revoked);
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const write = async (peer: string, value: object = {}): Promise<void> =>
      await attacker.put('revocations', keyOf('web', peer), {
        entry: 'web',
        peer,
        serial: '',
        issuer: '',
        at: 'x',
        by: 'a'.repeat(64),
        ...value,
      });
    await write(`spki:sha256:${home.certificate.spki()}`);
    await replicas[0]?.logged('ALERT: a revocation names the realm, and is not sent to guests');
    await write('*');
    await write('cn:');
    await write(`cn:${'x'.repeat(100_000)}`);
    await write('cn:a', { serial: 5 });
    await write('cn:d', { by: undefined });
    await write('cn:e', { by: 'alice' });
    await write('cn:b', { peer: 'cn:c' });
    await write('cn:last');
    await until('the last one is said', () => revoked.includes('cn:last'));
    const next = await obedientGuest(port, revoked);
    await once(guest.socket.destroy(), 'close');
    assert.deepEqual(new Set(revoked), new Set(['cn:last']));
    next.socket.destroy();
  });
});

describe('a replica decides again by what it knows', () => {
  it('which certificates are revoked, though the replica of the operator does not know', {
    timeout: 60_000,
  }, async (t) => {
    const setup = await setUpReplicas(t, 1);
    const { nats, home, homes, replicas } = setup;
    const revoked = home.operators.client({ commonNames: ['alice'] });
    const former = new RealmOperator(home, revoked);
    home.write('operators.crl', home.operators.revocationList([]));
    const other = home.replica('with-list');
    const list = ['--operator-crl', join(home.directory, 'operators.crl')];
    const replica = await RealmProcess.start(other, [...nats.options, ...list]);
    replicas.push(replica);
    const guest = await echoGuest({ port: other.ports.guests });
    await until('the first replica shows the guest', async () => (await listed(setup, 0)).length === 1);
    const port = homes[0]?.ports.operators ?? 0;
    const open = await former.connect(port, 'web');
    assert.match(open.head, /^HTTP\/1.1 101 /);
    home.write('operators.crl', home.operators.revocationList([revoked.serial()]));
    replica.process.kill('SIGHUP');
    await once(open.socket.resume(), 'close');
    assert.match((await former.connect(port, 'web')).head, /^HTTP\/1.1 403 /);
    const { head, socket } = await setup.alice.connect(port, 'web');
    assert.match(head, /^HTTP\/1.1 101 /);
    socket.destroy();
    guest.socket.destroy();
  });

  it('when a certificate expires, though the other replica continues', { timeout: 60_000 }, async (t) => {
    const setup = await attack(t, 1);
    const { attacker, home, homes } = setup;
    const revoked: string[] = [];
    const headers = 'Kata-Agent-Relay: trusted\r\n';
    const guest = await obedientGuest(homes[0]?.ports.guests ?? 0, revoked, { headers });
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const id = (await listed(setup, 0))[0]?.id ?? '';
    // Certificates have whole seconds.
    const notAfter = Math.ceil(Date.now() / 1_000) * 1_000 + 4_000;
    const certificate = home.operators.client({ commonNames: ['alice'], notAfter });
    const pipe = randomBytes(32).toString('hex');
    const aborted = new Promise<string>((resolve) => {
      attacker.nc.subscribe(`kata.realm.pipe.${pipe}.a`, {
        callback: (error, message) => {
          if (error === null && message.data[0] === 4)
            resolve(Buffer.from(message.data.subarray(9)).toString());
        },
      });
    });
    await attacker.nc.flush();
    assert.equal((await attacker.askConnect(id, certificate, pipe))['ok'], true);
    const alive = Buffer.alloc(9);
    alive[0] = 3;
    const timer = setInterval(() => attacker.nc.publish(`kata.realm.pipe.${pipe}.b`, alive), 500);
    t.after(() => clearInterval(timer));
    await aborted;
    const late = Date.now() - notAfter;
    assert.ok(late > -500 && late < 3_000, `${late} ms after the end of the certificate`);
    guest.socket.destroy();
  });

  it('which guests an entry names', { timeout: 60_000 }, async (t) => {
    const setup = await setUpReplicas(t, 2);
    const { home, homes, replicas } = setup;
    const guest = await echoGuest({ port: homes[1]?.ports.guests ?? 0 });
    await until('the first replica shows the guest', async () => (await listed(setup, 0)).length === 1);
    const other = `sha256:${'7'.repeat(64)}`;
    home.write('realm.toml', replicasAuthorization.replace(`sha256:${'1'.repeat(64)}`, other));
    replicas[0]?.process.kill('SIGHUP');
    // As a guest of "many", which is the first entry that accepts it there, it has another name.
    await until('it does not', async () => (await listed(setup, 0)).length === 0);
    assert.equal((await listed(setup, 1)).length, 1);
    assert.equal(guest.socket.destroyed, false);
    home.write('realm.toml', replicasAuthorization);
    replicas[0]?.process.kill('SIGHUP');
    await until('it shows it again', async () => (await listed(setup, 0)).length === 1);
    guest.socket.destroy();
  });
});

describe('a user of NATS who lacks the permissions of a replica', () => {
  it('is a realm that says so, and does not end', { timeout: 60_000 }, async (t) => {
    const setup = await setUpReplicas(t, 0);
    const { nats, home } = setup;
    const path = join(nats.directory, 'nats-server.conf');
    writeFileSync(path, readFileSync(path, 'utf8').replace('allow: ["kata.realm.replica.*", ', 'allow: ['));
    await nats.stop();
    await nats.restart();
    const replica = await RealmProcess.start(home.replica('lacking'), nats.options);
    t.after(async () => await replica.stop('SIGKILL'));
    const { why } = await replica.logged('requests of other replicas cannot be received');
    assert.match(why ?? '', /Permissions Violation/);
    assert.equal(replica.process.exitCode, null);
  });
});

describe('guests that dial several replicas at the same moment', () => {
  it('are no more than max of their entry', { timeout: 120_000 }, async (t) => {
    const max = 3;
    const setup = await setUpReplicas(t, 3, {
      authorization: `
[[guest]]
name = "few"
configurations = ["*"]
max = ${max}

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list"]
`,
    });
    const { homes, replicas } = setup;
    const count = 24;
    for (let turn = 0; turn < 3; turn += 1) {
      const refusedBefore = await refused(replicas);
      const guests = await Promise.allSettled(
        Array.from(
          { length: count },
          async (_, index) => await echoGuest({ port: homes[index % homes.length]?.ports.guests ?? 0 }),
        ),
      );
      await until(
        'the others are refused',
        async () => (await refused(replicas)) - refusedBefore === count - max,
      );
      for (const index of homes.keys())
        await until('each shows as many', async () => (await listed(setup, index)).length === max);
      for (const each of guests) if (each.status === 'fulfilled') each.value.socket.destroy();
      await until('none is left', async () => (await listed(setup, 0)).length === 0);
      for (const index of homes.keys())
        await until('none is left', async () => (await listed(setup, index)).length === 0);
    }
  });
});

async function refused(replicas: readonly RealmProcess[]): Promise<number> {
  const each = await Promise.all(
    replicas.map((replica) => replica.metric('kata_realm_guests_refused_total{reason="authorization"}')),
  );
  return each.reduce((sum, one) => sum + one, 0);
}
