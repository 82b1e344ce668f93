import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BusAttacker } from '../harness/bus-attacker.js';
import { guestIdentity, RawGuest, type RawGuestOptions } from '../harness/raw-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { echoGuest, listed, type ReplicasSetup, setUpReplicas } from '../harness/realm-replicas.js';

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
  said: string[],
  more: Partial<RawGuestOptions> = {},
): Promise<RawGuest> {
  return await echoGuest({
    ...more,
    port,
    management: {
      describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '1'.repeat(64) }),
      revokePeer: async ({ peer }) => {
        said.push(peer);
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
    await until('they are counted', async () => (await replicas[1]?.metric('kata_realm_bus_malformed_total')) === 6);
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
      await until('the second is shown', async () => (await listed(setup, 0)).some(({ id }) => id === marker));
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
      entryOf({ attested: true }),
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
    const said: string[] = [];
    const guest = await obedientGuest(port.guests, said, { headers: 'Kata-Agent-Relay: trusted\r\n' });
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const id = (await listed(setup, 0))[0]?.id ?? '';
    // A certificate is no secret.
    const certificate = home.operators.client({ commonNames: ['alice'] });
    let opened = 0;
    for (let count = 0; count < 80; count += 1) {
      const { ok } = await attacker.askConnect(id, certificate, randomBytes(32).toString('hex'));
      opened += ok === true ? 1 : 0;
    }
    assert.equal(opened, 64);
    assert.equal(await replicas[0]?.metric('kata_realm_bus_pipes'), 64);
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

  it('takes no memory with frames of one byte', { timeout: 120_000 }, async (t) => {
    const setup = await attack(t, 1);
    const { attacker, home, homes, replicas } = setup;
    const port = homes[0]?.ports.guests ?? 0;
    const identity = await guestIdentity();
    const unread: RawGuest[] = [];
    const guest = await RawGuest.serve({
      port,
      identity,
      relay: {
        openConnection: async ({ token }) => {
          const further = await RawGuest.dial({ port, identity });
          const header = `Kata-Agent-Connection: ${Buffer.from(token).toString('hex')}\r\n`;
          await further.upgrade('kata-agent-relay/1', header);
          further.socket.pause();
          unread.push(further);
          return {};
        },
      },
    });
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const id = (await listed(setup, 0))[0]?.id ?? '';
    const certificate = home.operators.client({ commonNames: ['alice'] });
    const pipes: string[] = [];
    for (let count = 0; count < 8; count += 1) {
      const pipe = randomBytes(32).toString('hex');
      const hello = new Promise<void>((resolve) => {
        attacker.nc.subscribe(`kata.realm.pipe.${pipe}.a`, { callback: () => resolve() });
      });
      await attacker.nc.flush();
      assert.equal((await attacker.askConnect(id, certificate, pipe))['ok'], true);
      await hello;
      pipes.push(pipe);
    }
    const rss = (): number =>
      Number(
        /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${replicas[0]?.process.pid}/status`, 'utf8'))?.[1] ?? 0,
      ) / 1024;
    const before = rss();
    const frame = Buffer.alloc(10);
    for (let index = 0; index < 260_000; index += 1) {
      frame.writeBigUInt64BE(BigInt(index), 1);
      for (const pipe of pipes) attacker.nc.publish(`kata.realm.pipe.${pipe}.b`, Buffer.from(frame));
      if (index % 1_000 === 0) await attacker.nc.flush();
    }
    await attacker.nc.flush();
    await delay(500);
    const grown = Math.round(rss() - before);
    t.diagnostic(`memory grew by ${grown} MiB with 8 pipes of 260,000 frames of one byte`);
    assert.equal(await replicas[0]?.metric('kata_realm_bus_pipes'), 8);
    assert.ok(grown < 55, String(grown));
    for (const each of [guest, ...unread]) each.socket.destroy();
  });

  it('takes no revocation back, also for replicas that start later', { timeout: 60_000 }, async (t) => {
    const setup = await attack(t);
    const { attacker, homes, alice, nats, replicas } = setup;
    const [a, b] = homes.map(({ ports }) => ports);
    assert.ok(a && b);
    const said: string[] = [];
    // The dead replica has its name for some time.
    const identity = await guestIdentity();
    let guest = await obedientGuest(b.guests, said, { identity });
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
      ['{"entry":"web","peer":"cn:nobody","serial":"","issuer":"","at":"x"}', {}],
    ] as const) {
      await attacker.publish(key, value, head);
      await until('it is there again', async () => (await stored()).includes('cn:mallory'), 5_000);
    }
    // Without any other replica, and with a bus that has lost all of it.
    for (const replica of replicas) await replica.stop('SIGKILL');
    await attacker.publish(key, '', { 'KV-Operation': 'DEL' });
    replicas[1] = await RealmProcess.start(homes[1] as RealmHome, nats.options);
    guest.socket.destroy();
    said.length = 0;
    guest = await obedientGuest(b.guests, said, { identity });
    await until('the guest is admitted', async () => {
      return (await replicas[1]?.metric('kata_realm_guests_admitted_total')) === 1;
    });
    assert.deepEqual(said, ['cn:mallory']);
    await until('it is on the bus', async () => (await stored()).includes('cn:mallory'));
    guest.socket.destroy();
  });

  it('makes no guest revoke the realm, or something that is no revocation', { timeout: 60_000 }, async (t) => {
    const setup = await attack(t, 1);
    const { attacker, home, homes, replicas } = setup;
    const said: string[] = [];
    const port = homes[0]?.ports.guests ?? 0;
    const guest = await obedientGuest(port, said);
    await until('the guest is shown', async () => (await listed(setup, 0)).length === 1);
    const write = async (peer: string, value: object = {}): Promise<void> =>
      await attacker.put('revocations', keyOf('web', peer), {
        entry: 'web',
        peer,
        serial: '',
        issuer: '',
        at: 'x',
        ...value,
      });
    await write(`spki:sha256:${home.certificate.spki()}`);
    await replicas[0]?.logged('ALERT: a revocation names the realm, and is not said to guests');
    await write('*');
    await write('cn:');
    await write(`cn:${'x'.repeat(100_000)}`);
    await write('cn:a', { serial: 5 });
    await write('cn:b', { peer: 'cn:c' });
    await write('cn:last');
    await until('the last one is said', () => said.includes('cn:last'));
    const next = await obedientGuest(port, said);
    await once(guest.socket.destroy(), 'close');
    assert.deepEqual(new Set(said), new Set(['cn:last']));
    next.socket.destroy();
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
    replicas.map((replica) => replica.metric('kata_realm_guests_refused_total{reason="admission"}')),
  );
  return each.reduce((sum, one) => sum + one, 0);
}
