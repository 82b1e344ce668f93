import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { OwnIdentity } from '@kata-agent/agent/tls';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { guestIdentity, RawGuest, type RawGuestOptions, strangeToken } from '../harness/raw-guest.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';

const ofTests = `sha256:${'1'.repeat(64)}`;
const idOf = ({ pin }: OwnIdentity): string => pin.replace('spki:sha256:', '');

describe('guests that a realm does not accept', () => {
  const home = new RealmHome(
    `[[guest]]\nname = "web"\nconfigurations = ["${ofTests}"]\n[[guest]]\nname = "db"\nkeys = ["spki:sha256:${'0'.repeat(64)}"]\n`,
  );
  let realm: RealmProcess;

  before(async () => {
    realm = await RealmProcess.start(home);
  });
  after(async () => {
    await realm.stop();
    home.remove();
  });

  it('an agent with another configuration', async (t) => {
    const agent = await AgentProcess.start({ config: guestConfig(home), sharesNetwork: true });
    t.after(() => agent.dispose());
    const { why, code } = await realm.logged('guest refused');
    assert.equal(why, 'no [[guest]] entry accepts it');
    assert.equal(code, 'KA3301');
    assert.equal(await realm.metric('kata_realm_guests{relay="trusted"}'), 0);
    await until('it is recorded', () =>
      home.decisions().some(({ kind, listener }) => kind === 'refusal' && listener === 'guests'),
    );
    const refusal = home.decisions().find(({ kind }) => kind === 'refusal');
    assert.match(JSON.stringify(refusal), /"KA3301".*no \[\[guest\]\] entry accepts it/);
  });
});

describe('hostile clients of a realm', () => {
  const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\nmax = 100\n');
  let realm: RealmProcess;
  let bystander: RawGuest;
  let identity: OwnIdentity;
  const dial = async (from?: string): Promise<RawGuest> =>
    await RawGuest.dial({
      port: home.ports.guests,
      identity: await guestIdentity(),
      ...(from && { localAddress: from }),
    });
  const serve = async (more: Partial<RawGuestOptions> = {}): Promise<RawGuest> =>
    await RawGuest.serve({ port: home.ports.guests, identity: await guestIdentity(), ...more });

  before(async () => {
    realm = await RealmProcess.start(home, ['--max-log-per-guest', '1MiB']);
    identity = await guestIdentity();
    bystander = await serve({ identity });
    await realm.logged('guest accepted');
  });
  after(async () => {
    assert.equal(bystander.socket.destroyed, false, 'another guest has lost its connection');
    assert.equal(await realm.stop(), 0, realm.text());
    assert.ok(!realm.text().includes('bug'), realm.text());
    home.remove();
  });

  const head = 'GET /guests HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n';
  for (const [what, request, answer, from] of [
    ['is no HTTP', 'SSH-2.0-x\r\n\r\n', /^$/],
    ['has no Upgrade', 'GET /guests HTTP/1.1\r\nHost: localhost\r\n\r\n', /^HTTP\/1.1 426 /],
    ['has another protocol', `${head}Upgrade: websocket\r\n\r\n`, /^HTTP\/1.1 400 /],
    ['has two protocols', `${head}Upgrade: kata-agent-ttrpc/1\r\nUpgrade: h2c\r\n\r\n`, /^HTTP\/1.1 400 /],
    [
      'has another method',
      `${head.replace('GET', 'POST')}Upgrade: kata-agent-ttrpc/1\r\n\r\n`,
      /^HTTP\/1.1 405 /,
    ],
    ['has a body', `${head}Upgrade: kata-agent-ttrpc/1\r\nContent-Length: 3\r\n\r\nabc`, /^HTTP\/1.1 400 /],
    [
      'has another relay',
      `${head}Upgrade: kata-agent-ttrpc/1\r\nKata-Agent-Relay: none\r\n\r\n`,
      /^HTTP\/1.1 400 /,
    ],
    [
      'has two relays',
      `${head}Upgrade: kata-agent-ttrpc/1\r\nKata-Agent-Relay: trusted\r\nKata-Agent-Relay: operator-tls\r\n\r\n`,
      /^HTTP\/1.1 400 /,
    ],
    [
      'has a token that nobody waits for',
      `${head}Upgrade: kata-agent-relay/1\r\nKata-Agent-Connection: ${strangeToken()}\r\n\r\n`,
      /^HTTP\/1.1 404 /,
    ],
    ['has no token', `${head}Upgrade: kata-agent-relay/1\r\n\r\n`, /^HTTP\/1.1 404 /],
    [
      'has an invalid token',
      `${head}Upgrade: kata-agent-relay/1\r\nKata-Agent-Connection: ../x\r\n\r\n`,
      /^HTTP\/1.1 404 /,
    ],
    // What arrives with the end of the handshake counts as part of it.
    ['has huge headers', `${head}X: ${'x'.repeat(100_000)}\r\n\r\n`, /^$/, '127.0.0.8'],
    ['has headers without end', `${head}${'X: 1\r\n'.repeat(20_000)}`, /^$/, '127.0.0.9'],
  ] as const)
    it(`a request that ${what}`, async () => {
      const guest = await dial(from);
      assert.match(await guest.ask(request), answer);
      await guest.closed;
    });

  it('a client without a certificate, one without TLS, and one that says nothing', async () => {
    const plain = connectTcp(home.ports.guests, '127.0.0.1');
    plain.on('error', () => undefined).write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => plain.once('close', resolve).resume());
    const none = await RawGuest.dial({
      port: home.ports.guests,
      identity: { key: undefined, certificate: undefined } as unknown as OwnIdentity,
    });
    await none.closed;
    await dial();
  });

  const silent = async (count: number): Promise<readonly Socket[]> => {
    const sockets = Array.from({ length: count }, () => connectTcp(home.ports.guests, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => undefined);
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    return sockets;
  };

  it('many connections of one address that say nothing keep out only each other', async () => {
    const flood = await silent(200);
    // Of another address, meanwhile.
    const other = await serve({ localAddress: '127.0.0.2' });
    other.socket.destroy();
    for (const socket of flood) socket.destroy();
    await delay(50);
    const guest = await serve();
    guest.socket.destroy();
  });

  it('guests of one address that come at once wait for each other', async () => {
    const refused = (): Promise<number> => realm.metric('kata_realm_guests_refused_total{reason="request"}');
    // As many as may be in their handshakes.
    const before = await silent(64);
    const known = await refused();
    const waiting = serve();
    await delay(300);
    assert.equal(await refused(), known);
    before[0]?.destroy();
    (await waiting).socket.destroy();
    for (const socket of before) socket.destroy();
  });

  it('a guest that connects without end is soon refused, which its own log only counts', async () => {
    const own = await guestIdentity();
    const acceptances = (): number =>
      home.decisions().filter(({ kind, peer }) => kind === 'intent' && peer === `guest ${idOf(own)}`).length;
    for (let times = 0; times < 30; times += 1) {
      const guest = await serve({ identity: own });
      await Promise.race([guest.closed, delay(30)]);
      guest.socket.destroy();
    }
    await until('it is refused', () => realm.log.some(({ why }) => why === 'it has connected too often'));
    assert.ok(acceptances() <= 11, `${acceptances()} acceptances`);
    // Others are not.
    (await serve()).socket.destroy();
  });

  it('an error of a guest is logged in short, and without control characters of terminals', async () => {
    const guest = await serve({
      management: {
        describe: async () => {
          throw new TtrpcError(Code.Internal, `\u009b31m${'x'.repeat(60_000)}`);
        },
      },
    });
    await guest.closed;
    await until('it is refused', () => realm.log.some(({ why = '' }) => why.startsWith('31mxxx')));
    for (const { why = '' } of realm.log) assert.ok(why.length <= 301 && !why.includes('\u009b'));
  });

  const line = (text: string): Uint8Array => Buffer.from(text, 'latin1');
  for (const [what, watchAudit, state] of [
    [
      'sends invalid records',
      async function* () {
        yield { records: [line('{}')] };
      },
      'broken',
    ],
    [
      'sends records of 300 KB',
      async function* () {
        yield { records: [new Uint8Array(300_000)] };
      },
      'broken',
    ],
  ] as const)
    it(`a guest that ${what}`, async () => {
      const own = await guestIdentity();
      const guest = await serve({ identity: own, management: { watchAudit } });
      await until('there is an alert', () =>
        realm.log.some(
          ({ msg = '', id, fault }) => msg.startsWith('ALERT') && id === idOf(own) && fault === state,
        ),
      );
      assert.equal(guest.socket.destroyed, false, 'the log of a guest is no reason to lose it');
      assert.deepEqual(home.logs(idOf(own)), []);
      guest.socket.destroy();
    });

  it('a guest that sends a frame of 20 MB loses its connection', async () => {
    const guest = await serve({
      management: { watchAudit: () => new Promise<never>(() => undefined) as never },
    });
    await delay(50);
    const frame = Buffer.alloc(10 + 1_000_000);
    frame.writeUInt32BE(20_000_000, 0);
    frame.writeUInt32BE(1, 4);
    frame[8] = 3;
    guest.socket.write(frame);
    await guest.closed;
  });

  it('a guest that floods with lines is stopped, and the realm is ready', async () => {
    const own = await guestIdentity();
    const guest = await serve({
      identity: own,
      management: {
        watchAudit: async function* () {
          for (;;) yield { records: Array.from({ length: 2_000 }, () => new Uint8Array(0)) };
        },
      },
    });
    await until('there is an alert', () => realm.log.some(({ id }) => id === idOf(own)));
    guest.socket.destroy();
    assert.equal((await realm.get('/readyz')).status, 200);
  });

  it('and the realm still accepts guests, and its own log has counts of all that', async () => {
    const guest = await serve();
    guest.socket.destroy();
    assert.ok((await realm.metric('kata_realm_guests_refused_total{reason="request"}')) > 100);
    const own = readFileSync(`${home.store}/decisions/audit.log`, 'utf8');
    assert.ok(own.length < 1_000_000, `${own.length} bytes`);
  });
});
