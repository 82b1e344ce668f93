import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Client } from '@kata-agent/ttrpc';
import type { Management } from '@kata-agent/protocol/management';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { type DialledIn, DialServer } from '../harness/dial-server.js';
import { connectOperator, openRelayed, type Operator, speakTls } from '../harness/operator.js';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { until } from '../harness/tls-engine.js';

const { slowChain } = (await import(`${repository}bench/dist/slow-chain.js`)) as {
  readonly slowChain: (bytes: number) => { readonly cert: string; readonly key: string };
};

const realmCa = new Authority('realm CA');
const operatorCa = new Authority('operator CA');
const certificate = realmCa.server(['localhost', 'realm.example']);
const named = (name: string): ClientCertificate =>
  operatorCa.client({ commonNames: [], uris: [`spiffe://example/${name}`] });
const runner = named('ops/runner');
const victim = named('ops/victim');
const auditor = named('audit/ann');
const revoker = named('revoke/rob');
const both = named('both/bea');
const nobody = named('other/nobody');

const grants = `operators = [
  { peers = ["uri:spiffe://example/ops/*"], verbs = ["connect"] },
  { peers = ["uri:spiffe://example/audit/*", "uri:spiffe://example/both/bea"], verbs = ["audit"] },
  { peers = ["uri:spiffe://example/both/*"], verbs = ["connect"] },
  { peers = ["uri:spiffe://example/revoke/*"], verbs = ["revoke"] },
]
`;

/** A guest whose realm is stolen: the server gives every operator a connection. */
class Guest {
  readonly server: DialServer;
  readonly agent: AgentProcess;
  control: DialledIn;

  private constructor(server: DialServer, agent: AgentProcess, control: DialledIn) {
    this.server = server;
    this.agent = agent;
    this.control = control;
  }

  static async start(operators: string): Promise<Guest> {
    const server = await DialServer.start(certificate);
    const config = `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://localhost:${server.port}/guests"
peers = ["*"]
allowed_endpoints = ["GetGuestDetails"]
management = ["Describe", "WatchAudit", "RevokePeer", "GetCheckpoint"]
limits = { connections = 32, handshakes_per_second = 1000 }
${operators}
[listener.tls]
server_ca = ${JSON.stringify(realmCa.pem)}
client_ca = ${JSON.stringify(operatorCa.pem)}
`;
    const agent = await AgentProcess.start({ config, sharesNetwork: true });
    return new Guest(server, agent, await server.next());
  }

  operator(options: ClientCertificate, label?: Uint8Array): Promise<Operator> {
    return connectOperator(this.server, this.control, options, label);
  }

  async stop(): Promise<void> {
    await this.agent.dispose();
    await this.server.close();
  }

  /** The methods that were denied with KA3009. */
  denied(): readonly unknown[] {
    return this.agent
      .records()
      .filter(({ decision }) => (decision as { code?: string } | undefined)?.code === 'KA3009')
      .map(({ method }) => method);
  }
}

/** Returns how a watcher begins; with `stays` it continues. */
async function watches(management: Client<typeof Management>, stays = false): Promise<string> {
  const records = management.watchAudit({ from: 1n })[Symbol.asyncIterator]();
  const first = await answerOf(records.next());
  if (!stays) await records.return?.();
  return first.code;
}

/** What each call of an operator is answered with. */
async function answers({ agent, management }: Operator): Promise<Readonly<Record<string, string>>> {
  return {
    GetGuestDetails: (await answerOf(agent.getGuestDetails({}))).code,
    Describe: (await answerOf(management.describe({}))).code,
    WatchAudit: await watches(management),
    RevokePeer: (await answerOf(management.revokePeer({ peer: 'cn:somebody-else' }))).code,
    GetCheckpoint: (await answerOf(management.getCheckpoint({}))).code,
    // There is no source of evidence: FAILED_PRECONDITION is an answer of the method itself.
    Attest: (await answerOf(management.attest({ nonce: randomBytes(32) }))).code,
  };
}

const closed = 'UNIMPLEMENTED';
const nothing = {
  GetGuestDetails: closed,
  Describe: closed,
  WatchAudit: closed,
  RevokePeer: closed,
  GetCheckpoint: closed,
  Attest: closed,
};
const attest = { Attest: 'FAILED_PRECONDITION' };

describe('rights of operators end at the guest, whatever the realm gives them (S44)', () => {
  let guest: Guest;
  before(async () => {
    guest = await Guest.start(grants);
  });
  after(() => guest.stop());
  const open: Operator[] = [];
  const operator = async (options: ClientCertificate): Promise<Operator> => {
    const made = await guest.operator(options);
    open.push(made);
    return made;
  };
  afterEach(() => {
    for (const { channel } of open.splice(0)) channel.close();
  });

  it('an operator with connect reads no audit log, revokes nobody, and not the realm', async () => {
    const { management } = await operator(runner);
    const other = await operator(victim);
    assert.equal(await watches(management), closed);
    assert.equal(
      (await answerOf(management.revokePeer({ peer: 'uri:spiffe://example/ops/victim' }))).code,
      closed,
    );
    assert.equal(
      (await answerOf(management.revokePeer({ peer: `spki:sha256:${certificate.spki()}` }))).code,
      closed,
    );
    assert.equal((await answerOf(other.agent.getGuestDetails({}))).code, 'OK');
    assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
    await until(() => ['WatchAudit', 'RevokePeer'].every((method) => guest.denied().includes(method)));
  });

  for (const [what, options, expected] of [
    ['connect', runner, { ...nothing, ...attest, GetGuestDetails: 'OK', Describe: 'OK' }],
    ['audit', auditor, { ...nothing, ...attest, WatchAudit: 'OK', GetCheckpoint: 'OK' }],
    ['revoke', revoker, { ...nothing, ...attest, RevokePeer: 'OK' }],
    [
      'the sum of two grants',
      both,
      { ...nothing, ...attest, GetGuestDetails: 'OK', Describe: 'OK', WatchAudit: 'OK', GetCheckpoint: 'OK' },
    ],
    ['no verb', nobody, nothing],
  ] as const)
    it(`${what} opens what its row of the table says, and nothing else`, async () => {
      assert.deepEqual(await answers(await operator(options)), expected);
    });

  it('Describe names other listeners only to operators who may read their records', async () => {
    const listenersOf = async (options: ClientCertificate): Promise<readonly string[]> =>
      (await (await operator(options)).management.describe({})).listeners.map(({ name }) => name);
    assert.deepEqual(await listenersOf(runner), ['realm']);
    assert.deepEqual(await listenersOf(both), ['host', 'realm']);
  });

  it('the server has its own list, and no right of an operator', async () => {
    const { agent, management } = guest.control;
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, closed);
    assert.equal(await watches(management), 'OK');
    assert.equal((await answerOf(management.attest({ nonce: randomBytes(32) }))).code, closed);
  });

  for (const [what, request] of [
    ['by its key', { peer: `spki:sha256:${certificate.spki()}` }],
    ['by a name', { peer: 'dns:realm.example' }],
    ['by its serial number', { serial: certificate.serial(), issuer: 'CN=realm CA' }],
  ] as const)
    it(`nobody revokes the server that the agent has dialled, ${what}`, async () => {
      const { management } = await operator(revoker);
      const answer = await answerOf(management.revokePeer(request));
      assert.equal(answer.code, 'INVALID_ARGUMENT');
      assert.match(answer.message, /the server that the listener "realm" dials, which is not revoked/);
      assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
    });

  it('a server that repeats such a revocation, as after a boot, is not locked out by it', async () => {
    const peer = 'dns:realm.example';
    assert.deepEqual(await answerOf(guest.control.management.revokePeer({ peer })), {
      code: 'OK',
      message: '',
    });
    assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
    guest.control.socket.destroy();
    guest.control = await guest.server.next();
    assert.equal((await answerOf((await operator(runner)).agent.getGuestDetails({}))).code, 'OK');
  });

  it('an operator with revoke revokes another one', async () => {
    const [ours, theirs] = [await operator(revoker), await operator(victim)];
    assert.equal((await answerOf(theirs.agent.getGuestDetails({}))).code, 'OK');
    assert.equal((await ours.management.revokePeer({ peer: 'uri:spiffe://example/ops/victim' })).closed, 1);
    assert.notEqual((await answerOf(theirs.agent.getGuestDetails({}))).code, 'OK');
  });
});

describe('a listener without operators', () => {
  it('gives them no method of the management service', async (t) => {
    const guest = await Guest.start('');
    t.after(() => guest.stop());
    assert.deepEqual(await answers(await guest.operator(runner)), { ...nothing, GetGuestDetails: 'OK' });
  });
});

describe('operators of one server have places and penalties of their own (S44)', () => {
  const share = 'operators = [{ peers = ["*"], verbs = ["connect", "audit"] }]\n';

  it('one with all the watchers that it can have leaves theirs to the realm and to others', async (t) => {
    const guest = await Guest.start(share);
    t.after(() => guest.stop());
    // Each connection has one watcher.
    const held = await Promise.all(Array.from({ length: 5 }, () => guest.operator(runner)));
    const codes = await Promise.all(held.map(({ management }) => watches(management, true)));
    assert.deepEqual(codes.toSorted(), ['OK', 'OK', 'OK', 'OK', 'RESOURCE_EXHAUSTED']);
    assert.equal(await watches(guest.control.management), 'OK');
    assert.equal(await watches((await guest.operator(auditor)).management), 'OK');
  });

  for (const [what, label] of [
    ['whom the server does not tell apart', undefined],
    ['whom the server tells apart', randomBytes(32)],
  ] as const)
    it(`a refused handshake of one ${what} shuts the relay for no other`, async (t) => {
      const guest = await Guest.start(share);
      t.after(() => guest.stop());
      const slow = slowChain(9_000);
      for (let count = 0; count < 3; count += 1) {
        const outer = await openRelayed(guest.server, guest.control, label);
        void speakTls(outer, slow).then(
          (socket) => socket.write('request'),
          () => undefined,
        );
        await until(() => outer.destroyed || outer.readableEnded);
      }
      const { agent } = await guest.operator(victim, label === undefined ? undefined : randomBytes(32));
      assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
      const refusals = (): readonly string[] =>
        guest.agent.records().flatMap(({ decision }) => {
          const { reason = '' } = (decision ?? {}) as { reason?: string };
          return /took too long, less than a minute ago/.test(reason) ? [reason] : [];
        });
      // The one that was refused pays: it is told apart, and is turned away.
      if (label === undefined) assert.deepEqual(refusals(), []);
      else await until(() => refusals().length > 0);
    });

  it('one that leaves handshakes unfinished keeps no other from its own', async (t) => {
    const guest = await Guest.start(share);
    t.after(() => guest.stop());
    const silent: Duplex[] = [];
    // More than the listener's connections.
    while (silent.length < 40) silent.push(await openRelayed(guest.server, guest.control));
    const { agent } = await guest.operator(victim);
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
    for (const each of silent) each.destroy();
  });
});
