import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Management } from '@kata-agent/protocol/management';
import { connect, createClient } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { guestIdentity, RawGuest, type RawGuestOptions } from '../harness/raw-guest.js';
import { RealmOperator } from '../harness/realm-operator.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { SoftTpm, whyNoTpm } from '../harness/swtpm.js';
import { agentWithTpm, tpmEvidence } from '../harness/tpm-evidence.js';

const authorization = `
[[guest]]
name = "web"
configurations = ["*"]
attested = true

[[guest]]
name = "rest"
configurations = ["*"]
max = 10

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list"]
`;

/** A bundle as JSON. */
interface Json {
  readonly claims: string;
  readonly evidence: readonly { readonly public: string }[];
}

/** A guest, as the realm lists it. */
interface Listed {
  readonly name: string;
  readonly attested: boolean;
  readonly log: { readonly state: string };
}

/** An agent with a TPM of its own, and a socket on which this test asks it for evidence. */
class AttestedGuest {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-realm-evidence-'));
  readonly tpm: SoftTpm;
  #agent: AgentProcess | undefined;

  private constructor(tpm: SoftTpm) {
    this.tpm = tpm;
    mkdirSync(join(this.directory, 'run/kata-agent'), { recursive: true });
  }

  static async start(home: RealmHome, comment = ''): Promise<AttestedGuest> {
    const guest = new AttestedGuest(await SoftTpm.start());
    const config = `# ${comment}
[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails"]

${tpmEvidence()}
[[listener]]
name = "host"
address = "unix:///run/host.sock"
management = ["Attest"]

[[listener]]
name = "realm"
address = "https://localhost:${home.ports.guests}/guests"
tls.server_ca = ${JSON.stringify(home.ca.pem)}
relay = "trusted"
management = ["Attest", "WatchAudit", "RevokePeer"]
`;
    guest.#agent = await AgentProcess.start(agentWithTpm(config, guest.tpm, guest.directory));
    return guest;
  }

  /** Asks for evidence, as a caller on the host. */
  async attest(nonce: Uint8Array): Promise<Uint8Array> {
    const channel = connect(connectSocket(join(this.directory, 'run/host.sock')));
    try {
      return (await createClient(Management, channel).attest({ nonce })).bundle;
    } finally {
      channel.close();
    }
  }

  /** Its attestation key, and the digest of its configuration. */
  async values(): Promise<{ readonly ak: string; readonly configuration: string }> {
    const { claims, evidence } = JSON.parse(
      Buffer.from(await this.attest(new Uint8Array(32))).toString(),
    ) as Json;
    const { config_digest: configuration } = JSON.parse(Buffer.from(claims, 'base64').toString()) as {
      config_digest: string;
    };
    const area = Buffer.from(evidence[0]?.public ?? '', 'base64');
    return { ak: `000b${createHash('sha256').update(area).digest('hex')}`, configuration };
  }

  async stop(): Promise<void> {
    await this.#agent?.dispose();
    await this.tpm.stop();
    rmSync(this.directory, { recursive: true });
  }
}

describe('a realm that demands evidence of its guests', { skip: whyNoTpm() ?? false }, () => {
  const home = new RealmHome(authorization);
  const raw: RawGuest[] = [];
  let realm: RealmProcess;
  let good: AttestedGuest;
  let other: AttestedGuest;

  const writeValues = (
    guests: readonly { readonly ak: string }[],
    configurations: readonly string[],
  ): void => {
    home.write(
      'values.json',
      JSON.stringify({
        v: 1,
        accept: ['tpm'],
        configurations,
        tpm: guests.map(({ ak }) => ({ ak, bank: 'sha256', registers: { '4': '00'.repeat(32) } })),
      }),
    );
  };
  const reference = join(home.directory, 'values.json');
  const alice = new RealmOperator(home, home.operators.client({ commonNames: ['alice'] }));
  const listed = async (): Promise<readonly Listed[]> => {
    const { body } = await alice.request(home.ports.operators, '/v1/guests');
    return (JSON.parse(body) as { guests: Listed[] }).guests;
  };
  /** The reasons of refused guests in the realm's decisions. */
  const refusals = (): readonly string[] =>
    home
      .decisions()
      .map(({ decision }) => decision as { readonly code?: string; readonly reason?: string } | undefined)
      .flatMap((decision) => (decision?.code === 'KA3301' ? [decision.reason ?? ''] : []));
  const refusedFor = (pattern: RegExp): Promise<void> =>
    until(`refused for ${pattern}:\n${refusals().join('\n')}`, () =>
      refusals().some((one) => pattern.test(one)),
    );

  /** A guest that answers as a test wants, and the calls that it got. */
  async function dial(
    attest: ((nonce: Uint8Array) => Promise<Uint8Array>) | undefined,
  ): Promise<{ readonly guest: RawGuest; readonly calls: string[] }> {
    const calls: string[] = [];
    const management: RawGuestOptions['management'] = {
      describe: async () => {
        calls.push('Describe');
        return { version: '9.9', bootId: 'boot', configurationDigest: '1'.repeat(64) };
      },
      ...(attest === undefined
        ? {}
        : {
            attest: async ({ nonce }) => {
              calls.push('Attest');
              return { bundle: await attest(nonce) };
            },
          }),
    };
    const guest = await RawGuest.serve({
      port: home.ports.guests,
      identity: await guestIdentity(),
      management,
    });
    raw.push(guest);
    return { guest, calls };
  }

  before(async () => {
    writeValues([], ['00'.repeat(32)]);
    realm = await RealmProcess.start(home, ['--reference', reference], { attested: true });
    good = await AttestedGuest.start(home);
    other = await AttestedGuest.start(home, 'another configuration');
  });
  after(async () => {
    for (const guest of raw) guest.socket.destroy();
    await good.stop();
    await other.stop();
    await realm.stop();
    home.remove();
  });

  it('refuses all that the values do not accept, and says the link', async () => {
    await refusedFor(/its evidence is not verified, tpm\.root not checked: unrooted/);
    assert.deepEqual(await listed(), []);
    assert.equal(
      home.decisions().find(({ kind }) => kind === 'boot') !== undefined &&
        JSON.stringify(home.decisions()[0]).includes('"attestation":"required"'),
      true,
    );
  });

  it('admits a guest whose evidence is verified, by attested values', async () => {
    const mine = await good.values();
    writeValues([mine, await other.values()], [mine.configuration]);
    realm.process.kill('SIGHUP');
    const accepted = await realm.logged('guest accepted');
    assert.equal(accepted['attested'], 'true');
    assert.equal(accepted['configuration'], `sha256:${mine.configuration}`);
    const guests = await listed();
    assert.deepEqual(
      guests.map(({ name, attested }) => [name, attested]),
      [['web', true]],
    );
    // Its boot record names the log key of the evidence.
    await until('its log is verified', async () => (await listed())[0]?.log.state === 'verified');
    assert.match(JSON.stringify(home.decisions()), /accepted as \\"web\\"; attested by tpm; sha256:/);
  });

  it('refuses a guest with another configuration digest', async () => {
    await refusedFor(/its evidence is not verified, claims\.configuration failed/);
    assert.equal((await listed()).length, 1);
  });

  it('refuses evidence of another nonce, of another guest, none, and invalid evidence; and sends nothing else', async () => {
    const old = await good.attest(new Uint8Array(32));
    const cases: readonly (readonly [string, Parameters<typeof dial>[0], RegExp])[] = [
      ['old', async () => old, /its evidence is not verified, claims\.nonce failed/],
      [
        'of another guest, with the nonce of the realm',
        async (nonce) => await good.attest(nonce),
        /its evidence is not verified, claims\.channel failed/,
      ],
      ['none', undefined, /it has no evidence/],
      ['no bundle', async () => Buffer.from('{}'), /its evidence cannot be read/],
      ['too long', async () => new Uint8Array(2 * 1024 * 1024), /its evidence has more than/],
    ];
    for (const [what, attest, reason] of cases) {
      const { guest, calls } = await dial(attest);
      await guest.closed;
      await refusedFor(reason);
      assert.deepEqual(calls, attest === undefined ? [] : ['Attest'], what);
    }
    assert.equal((await listed()).length, 1);
    assert.ok((await realm.metric('kata_realm_guests_refused_total{reason="evidence"}')) >= cases.length);
  });

  it('asks again when the values change, and ends with a guest that they no longer accept', async () => {
    const theirs = await other.values();
    writeValues([theirs], [theirs.configuration]);
    realm.process.kill('SIGHUP');
    await realm.logged('a guest is asked for evidence again');
    await until(
      'the other guest is there',
      async () => {
        const guests = await listed();
        return guests.length === 1 && guests[0]?.attested === true;
      },
      60_000,
    );
    const accepted = await realm.logged('guest accepted', 2);
    assert.equal(accepted['configuration'], `sha256:${theirs.configuration}`);
    // A file that is not valid changes nothing.
    home.write('values.json', '{}');
    realm.process.kill('SIGHUP');
    await realm.logged('the files were not read again: nothing has changed');
    assert.equal((await listed()).length, 1);
    writeValues([theirs], [theirs.configuration]);
  });

  it('with --allow-unattested admits others too, marks them, and gives them no name of attested guests', async () => {
    await realm.stop();
    realm = await RealmProcess.start(home, ['--reference', reference]);
    await realm.logged(
      'guests without evidence are accepted: their configurations are unverified (--allow-unattested)',
    );
    const { calls } = await dial(undefined);
    await until('both are there', async () => (await listed()).length === 3, 60_000);
    assert.deepEqual(calls, ['Describe']);
    const guests = [...(await listed())].sort((a, b) => a.name.localeCompare(b.name));
    assert.deepEqual(
      guests.map(({ name, attested }) => [name.replace(/-.*/, ''), attested]),
      [
        ['rest', false],
        ['rest', false],
        ['web', true],
      ],
    );
    const reasons = JSON.stringify(home.decisions());
    assert.match(reasons, /unattested, since it has no evidence/);
    assert.match(reasons, /unattested, since its evidence is not verified, tpm\.root not checked/);
  });
});
