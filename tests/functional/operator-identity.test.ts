import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { AgentService } from '@kata-agent/protocol/agent';
import { Management } from '@kata-agent/protocol/management';
import { type CallOptions, type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority, type ClientCertificate, type ClientChange } from '../harness/authority.js';
import { speakTls } from '../harness/operator.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { RealmOperator } from '../harness/realm-operator.js';
import { answerOf } from '../harness/sweep.js';

/** An address of loopback that no other test uses at the same time. */
const host = `127.${(process.pid >> 16) & 0xff}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
const uriOf = (name: string): string => `spiffe://example/${name}`;
const authorization = `[[guest]]
name = "web"
configurations = ["*"]

[[operator]]
peers = ["uri:spiffe://example/ops/*"]
guests = ["*"]
verbs = ["list", "connect"]
methods = ["ReseedRandomDev", "GetGuestDetails"]

[[operator]]
peers = ["uri:spiffe://example/audit/ann"]
guests = ["*"]
verbs = ["list", "connect", "audit"]
methods = ["ReseedRandomDev", "GetGuestDetails"]

[[operator]]
peers = ["uri:spiffe://example/list/lee"]
guests = ["*"]
verbs = ["list"]

[[operator]]
peers = ["uri:spiffe://example/far/*"]
guests = ["other-*"]
verbs = ["list", "connect", "audit", "revoke"]
methods = ["ReseedRandomDev", "GetGuestDetails"]
`;

function configOf(home: RealmHome, relay: 'operator-tls' | 'trusted'): string {
  const listOf = (...names: readonly string[]): string =>
    JSON.stringify(names.map((name) => `uri:spiffe://example/${name}`));
  const callers =
    relay === 'trusted'
      ? 'relay = "trusted"\n'
      : `peers = ["*"]
operators = [
  { peers = ${listOf('ops/*')}, verbs = ["connect"] },
  { peers = ${listOf('audit/ann')}, verbs = ["audit"] },
]
tls.client_ca = ${JSON.stringify(home.operators.pem)}
`;
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "direct"
address = "tls://${host}:8443"
peers = ["uri:spiffe://example/direct/*"]
allowed_endpoints = ["ReseedRandomDev"]
tls.client_ca = ${JSON.stringify(home.operators.pem)}

[[listener]]
name = "realm"
address = "https://localhost:${home.ports.guests}/guests"
tls.server_ca = ${JSON.stringify(home.ca.pem)}
${callers}allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]
management = ["Describe", "WatchAudit"]
`;
}

/** A caller of a guest, with the text by which a record names it. */
interface Connected {
  readonly socket: TLSSocket;
  readonly channel: Channel;
  readonly agent: Client<typeof AgentService>;
  readonly management: Client<typeof Management>;
}

interface Recorded {
  readonly peer: string;
  readonly claimedOperator?: string;
  readonly kind: string;
  readonly method: string;
  /** Equal for equal requests. */
  readonly digest?: string;
}

const fingerprintOf = ({ cert }: Pick<ClientCertificate, 'cert'>): string =>
  `sha256:${createHash('sha256').update(new X509Certificate(cert).raw).digest('hex')}`;

/** A real realm, and a real guest of it. */
class Site {
  readonly home = new RealmHome(authorization);
  readonly #relay: 'operator-tls' | 'trusted';
  readonly #channels: Channel[] = [];
  #realm: RealmProcess | undefined;
  #agent: AgentProcess | undefined;

  constructor(relay: 'operator-tls' | 'trusted') {
    this.#relay = relay;
  }

  async start(): Promise<void> {
    this.#realm = await RealmProcess.start(this.home);
    this.#agent = await AgentProcess.start({ config: configOf(this.home, this.#relay), sharesNetwork: true });
    await this.#realm.logged('guest accepted');
    await until('its log is collected', () => this.home.logs().length > 0);
  }

  async stop(): Promise<void> {
    for (const channel of this.#channels) channel.close();
    await this.#agent?.dispose();
    await this.#realm?.stop();
    this.home.remove();
  }

  certificate(name: string, change: ClientChange = {}): ClientCertificate {
    return this.home.operators.client({ commonNames: [], uris: [uriOf(name)], ...change });
  }

  http(certificate: ClientCertificate, path: string, post?: object): Promise<{ readonly status: number }> {
    return new RealmOperator(this.home, certificate).request(
      this.home.ports.operators,
      path,
      post === undefined ? {} : { method: 'POST', body: JSON.stringify(post) },
    );
  }

  /** Returns the status of the realm's answer, and the connection to the guest. */
  async through(
    certificate: ClientCertificate,
    guest = 'web',
  ): Promise<{ readonly status: number; readonly outer: TLSSocket }> {
    const { head, socket } = await new RealmOperator(this.home, certificate).connect(
      this.home.ports.operators,
      guest,
    );
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), outer: socket };
  }

  /** Calls the guest through the realm; `inner` is the certificate for the guest, where it sees one. */
  async call(certificate: ClientCertificate, inner: ConnectionOptions = certificate): Promise<Connected> {
    const { status, outer } = await this.through(certificate);
    assert.equal(status, 101);
    return this.#connected(this.#relay === 'trusted' ? outer : await speakTls(outer, inner));
  }

  /** Calls the guest's own tls:// listener. */
  async direct({ cert, key }: ClientCertificate): Promise<Connected> {
    const options = { host, port: 8443, ALPNProtocols: ['kata-agent-ttrpc'], rejectUnauthorized: false };
    const socket = connectTls({ ...options, cert, key });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return this.#connected(socket);
  }

  #connected(socket: TLSSocket): Connected {
    const channel = connect(socket);
    this.#channels.push(channel);
    return {
      socket,
      channel,
      agent: createClient(AgentService, channel),
      management: createClient(Management, channel),
    };
  }

  /** The records of calls by which operators leave their name. */
  left(kind = 'intent'): readonly Recorded[] {
    return (this.#agent?.records() ?? []).filter(
      (record): record is typeof record & Recorded =>
        record['method'] === 'ReseedRandomDev' && record['kind'] === kind,
    );
  }

  /** Returns the records of the calls that a function lets operators make. */
  async leftBy(calls: () => Promise<unknown>, count: number): Promise<readonly Recorded[]> {
    const before = this.left().length;
    await calls();
    assert.equal(this.left().length, before + count);
    return this.left().slice(before);
  }
}

/** Makes a call that leaves a record of its own. */
async function leave({ agent }: Connected, text: string, options: CallOptions = {}): Promise<string> {
  return (await answerOf(agent.reseedRandomDev({ data: Buffer.from(text) }, options))).code;
}

/** Operators that call at once, each with its number of calls. */
const crowd: readonly (readonly [string, number])[] = [
  ['ops/a', 13],
  ['ops/b', 17],
  ['ops/c', 19],
  ['ops/d', 23],
];

type Crowd = ReadonlyMap<string, Connected>;

/** Lets them call, each with the same requests as the others: only the caller differs. Returns the calls of each by the records. */
async function countCrowd(
  site: Site,
  callers: Crowd,
  nameOf: (record: Recorded) => string | undefined,
): Promise<readonly (readonly [string, number])[]> {
  const calls = crowd.flatMap(([name, count]) =>
    Array.from({ length: count }, (_, n) => [callers.get(name), `${n}`] as const),
  );
  const records = await site.leftBy(async () => {
    const codes = await Promise.all(
      calls.map(([caller, text]) => (caller === undefined ? Promise.resolve('nobody') : leave(caller, text))),
    );
    assert.deepEqual(new Set(codes), new Set(['OK']));
  }, calls.length);
  return crowd.map(([name]) => [name, records.filter((record) => nameOf(record) === name).length]);
}

const alice = 'uri:spiffe://example/ops/alice';
/** Metadata of an operator that wants to be another one. */
const claims: readonly Readonly<Record<string, string | readonly string[]>>[] = [
  { 'kata-agent-operator': alice },
  { 'Kata-Agent-Operator': alice },
  { 'kata-agent-operator': [alice, alice] },
  { 'kata-agent-operator': ['', alice] },
  { 'kata-agent-operator': `${alice}\n`, peer: alice, operator: alice, listener: 'host' },
  { 'kata-agent-operator\0': alice, 'kata-agent-operator ': alice, 'x-forwarded-for': alice },
];

describe('who an operator is, with relay = "operator-tls" (S44)', () => {
  const site = new Site('operator-tls');
  before(() => site.start());
  after(() => site.stop());

  for (const [who, expected] of [
    ['ops/bob', { list: 200, describe: 200, audit: 403, revoke: 403, connect: 101 }],
    ['audit/ann', { list: 200, describe: 200, audit: 200, revoke: 403, connect: 101 }],
    ['list/lee', { list: 200, describe: 200, audit: 403, revoke: 403, connect: 403 }],
    ['far/fay', { list: 200, describe: 404, audit: 404, revoke: 404, connect: 404 }],
    ['other/olga', { list: 403, describe: 403, audit: 403, revoke: 403, connect: 403 }],
  ] as const)
    it(`what the realm answers ${who}`, async () => {
      const certificate = site.certificate(who);
      const { status, outer } = await site.through(certificate);
      outer.destroy();
      assert.deepEqual(
        {
          list: (await site.http(certificate, '/v1/guests')).status,
          describe: (await site.http(certificate, '/v1/guests/web')).status,
          audit: (await site.http(certificate, '/v1/guests/web/audit')).status,
          revoke: (await site.http(certificate, '/v1/guests/web/revocations', { peer: 'cn:x' })).status,
          connect: status,
        },
        expected,
      );
    });

  it('a record names the certificate that called, whatever its metadata says', async () => {
    const mallory = site.certificate('ops/mallory');
    const caller = await site.call(mallory);
    const records = await site.leftBy(async () => {
      for (const [number, metadata] of claims.entries())
        assert.equal(await leave(caller, `claim ${number}`, { metadata }), 'OK');
    }, claims.length);
    for (const { peer, claimedOperator } of [...records, ...site.left('outcome')]) {
      assert.equal(claimedOperator, undefined);
      assert.ok(peer.startsWith(`tls ${fingerprintOf(mallory)} uri:spiffe://example/ops/mallory`), peer);
    }
  });

  it('of many that call at once, each record has its own', async () => {
    const certificates = new Map(crowd.map(([name]) => [name, site.certificate(name)]));
    const callers = new Map<string, Connected>();
    for (const [name, certificate] of certificates) callers.set(name, await site.call(certificate));
    const names = new Map(Array.from(certificates, ([name, each]) => [fingerprintOf(each), name]));
    assert.deepEqual(
      await countCrowd(site, callers, ({ peer }) => names.get(peer.split(' ')[1] ?? '')),
      crowd,
    );
  });

  it('a connection that another operator lends belongs to the certificate inside it', async () => {
    const bob = site.certificate('ops/bob');
    const caller = await site.call(site.certificate('audit/ann'), bob);
    const [record] = await site.leftBy(async () => assert.equal(await leave(caller, 'lent'), 'OK'), 1);
    assert.ok(record?.peer.startsWith(`tls ${fingerprintOf(bob)} uri:spiffe://example/ops/bob`));
    // And the other way round: nobody has more by another's connection.
    const ann = await site.call(bob, site.certificate('audit/ann'));
    assert.equal(await leave(ann, 'lent-2'), 'UNIMPLEMENTED');
  });

  const strangers = new Authority('operators CA');
  for (const [what, make] of [
    ['of another CA of the same name', () => strangers.client({ commonNames: [], uris: [uriOf('ops/bob')] })],
    ['that has expired', () => site.certificate('ops/bob', { notAfter: Date.now() - 1000 })],
    ['that is not yet valid', () => site.certificate('ops/bob', { notBefore: Date.now() + 3_600_000 })],
    ['for servers', () => site.certificate('ops/bob', { usages: ['1.3.6.1.5.5.7.3.1'] })],
    ['with two URIs', () => site.certificate('', { uris: [uriOf('ops/bob'), uriOf('other/x')] })],
    ['with a percent sign', () => site.certificate('ops/%62ob')],
    ['with a climbing segment', () => site.certificate('ops/../ops/bob')],
    ['with an empty segment', () => site.certificate('ops//bob')],
    ['with a slash at the end', () => site.certificate('ops/')],
    ['with a query', () => site.certificate('ops/bob?x')],
  ] as const)
    it(`a certificate ${what} is refused inside the connection of another`, async () => {
      const { outer } = await site.through(site.certificate('ops/bob'));
      const { cert, key } = make();
      const call = async (): Promise<void> => {
        const refused = await speakTls(outer, { cert, key }).then(
          async (socket) => {
            const agent = createClient(AgentService, connect(socket));
            return (await answerOf(agent.reseedRandomDev({ data: Buffer.from('refused') }))).code;
          },
          () => 'closed',
        );
        assert.notEqual(refused, 'OK');
      };
      await site.leftBy(call, 0);
    });

  for (const [what, name, change] of [
    ['in upper case', 'OPS/BOB', {}],
    ['one segment deeper', 'ops/bob/x', {}],
    ['with the name only as common name', '', { uris: [], commonNames: [alice] }],
    ['with the name only as DNS name', '', { uris: [], dns: ['example'], commonNames: ['ops/alice'] }],
    ['of a star', '', { uris: ['spiffe://example/ops.x/bob'] }],
  ] as const)
    it(`a certificate ${what} has no right`, async () => {
      const certificate = site.certificate(name, change);
      assert.equal((await site.http(certificate, '/v1/guests')).status, 403);
      const caller = await site.call(site.certificate('ops/bob'), certificate);
      assert.equal(await leave(caller, 'none'), 'UNIMPLEMENTED');
    });

  it('a name in a subject does not pass for another one in records', async () => {
    const uri = uriOf('direct/eve');
    const forged = `x ${alice} via https localhost`;
    const eve = site.certificate('', { uris: [uri], commonNames: [forged] });
    const caller = await site.direct(eve);
    const metadata = { 'kata-agent-operator': alice };
    const [record] = await site.leftBy(
      async () => assert.equal(await leave(caller, 'forged', { metadata }), 'OK'),
      1,
    );
    const words = record?.peer.split(' ') ?? [];
    assert.equal(record?.claimedOperator, undefined);
    assert.ok(words.includes(`uri:${uri}`), record?.peer);
    assert.ok(!words.includes(alice), record?.peer);
    assert.ok(!words.includes('via'), record?.peer);
  });
});

describe('who an operator is, with relay = "trusted" (S44)', () => {
  const site = new Site('trusted');
  before(() => site.start());
  after(() => site.stop());

  it('a record names the operator whom the realm has authenticated, whatever its metadata says', async () => {
    const caller = await site.call(site.certificate('ops/mallory'));
    const records = await site.leftBy(async () => {
      for (const [number, metadata] of claims.entries())
        assert.equal(await leave(caller, `claim ${number}`, { metadata }), 'OK');
    }, claims.length);
    for (const { claimedOperator } of [...records, ...site.left('outcome')])
      assert.equal(claimedOperator, 'uri:spiffe://example/ops/mallory');
  });

  it('of many that call at once, each record has its own', async () => {
    const callers = new Map<string, Connected>();
    for (const [name] of crowd) callers.set(name, await site.call(site.certificate(name)));
    const prefix = 'uri:spiffe://example/';
    assert.deepEqual(
      await countCrowd(site, callers, ({ claimedOperator }) => claimedOperator?.slice(prefix.length)),
      crowd,
    );
  });

  it('nobody calls it whom the realm does not let through', async () => {
    for (const [name, expected] of [
      ['list/lee', 403],
      ['far/fay', 404],
      ['other/olga', 403],
    ] as const) {
      const { status, outer } = await site.through(site.certificate(name));
      outer.destroy();
      assert.equal(status, expected, name);
    }
    const bob = site.certificate('ops/bob');
    for (const guest of ['WEB', 'web.', 'web%20', 'w*', '*', 'web/', './web', 'web?x', 'web%00'])
      assert.ok([400, 404].includes((await site.through(bob, guest)).status), guest);
  });
});
