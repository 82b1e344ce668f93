import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { AgentService } from '@kata-agent/protocol/agent';
import { Management } from '@kata-agent/protocol/management';
import { type Client, connect, createClient } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { attestationKeyName, type EvidenceBundle } from '../harness/evidence-bundle.js';
import { DialServer } from '../harness/dial-server.js';
import { connectOperator } from '../harness/operator.js';
import { ctlProgram } from '../harness/repository.js';
import { eventually } from '../harness/retry.js';
import { answerOf } from '../harness/sweep.js';
import { SoftTpm, whyNoTpm } from '../harness/swtpm.js';
import { agentWithTpm, tpmEvidence } from '../harness/tpm-evidence.js';
import { TlsRelay } from '../harness/tls-relay.js';

const ca = new Authority();
const client = ca.client();
/** An address of loopback that no other test uses at the same time. */
const host = `127.${(process.pid >> 16) & 0xff}.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
const nonce = '5a'.repeat(32);

const realmCa = new Authority('realm CA');

const configOf = (evidence: string, realmPort: number): string => `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails"]

${evidence}
[audit]
file = "/run/audit.log"

[[listener]]
name = "host"
address = "unix:///run/host.sock"
management = ["Attest"]

[[listener]]
name = "tenant"
address = "tls://${host}:8443"
peers = ["cn:auditor"]
tls = { client_ca = ${JSON.stringify(ca.pem)} }
management = ["Attest", "GetCheckpoint"]

[[listener]]
name = "realm"
address = "https://localhost:${realmPort}/guests"
peers = ["cn:auditor"]
operators = [{ peers = ["cn:auditor"], verbs = ["connect"] }]
management = ["Attest"]
tls.server_ca = ${JSON.stringify(realmCa.pem)}
tls.client_ca = ${JSON.stringify(ca.pem)}
`;

interface Verified {
  readonly code: number | null;
  readonly verified: boolean;
  readonly result: string;
  readonly links: readonly { readonly name: string; readonly state: string; readonly what: string }[];
  readonly stderr: string;
}

async function ctl(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [ctlProgram, ...args], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: 'pipe',
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      output[name] += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...output };
}

describe('evidence of an agent with a TPM (issue I)', { skip: whyNoTpm() ?? false }, () => {
  let directory = '';
  let tpm: SoftTpm;
  let agent: AgentProcess;
  const path = (name: string): string => join(directory, name);

  let config = '';
  let realm: DialServer;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-evidence-'));
    mkdirSync(path('run/kata-agent'), { recursive: true });
    writeFileSync(path('cert'), client.cert);
    writeFileSync(path('key'), client.key);
    tpm = await SoftTpm.start();
    realm = await DialServer.start(realmCa.server(['localhost']));
    config = configOf(tpmEvidence(), realm.port);
    agent = await AgentProcess.start(agentWithTpm(config, tpm, directory));
  });
  after(async () => {
    await agent.dispose();
    await tpm.stop();
    await realm.close();
    rmSync(directory, { recursive: true });
  });

  /** The first record of the last start. */
  const bootRecord = (): unknown =>
    readFileSync(path('run/audit.log'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { readonly kind: string })
      .findLast(({ kind }) => kind === 'boot');
  const pin = (): string => (bootRecord() as { facts: { tls: { pin: string } } }).facts.tls.pin;
  const overTls = (): readonly string[] => [
    '-a',
    `tls://${host}:8443`,
    '--cert',
    path('cert'),
    '--key',
    path('key'),
  ];

  /** Asks for a bundle over TLS, and returns it with what `attest` printed. */
  async function attest(): Promise<{ readonly json: EvidenceBundle; readonly channel: string }> {
    const { code, stdout, stderr } = await ctl([
      'attest',
      ...overTls(),
      '--pin',
      pin(),
      '--nonce',
      nonce,
      '--out',
      path('bundle.json'),
      '--format',
      'json',
    ]);
    assert.equal(code, 0, stderr);
    const { channel } = JSON.parse(stdout) as { channel: string };
    return { json: JSON.parse(readFileSync(path('bundle.json'), 'utf8')) as EvidenceBundle, channel };
  }

  /** Values that accept this TPM, with some registers of its firmware, and this configuration. */
  function reference(json: EvidenceBundle, change: object = {}): string {
    const [tpmEvidence] = json.evidence;
    const { digest } = (bootRecord() as { facts: { digest: string } }).facts;
    const values = {
      v: 1,
      accept: ['tpm'],
      configurations: [digest],
      tpm: [
        {
          ak: attestationKeyName(tpmEvidence?.public ?? ''),
          bank: 'sha256',
          registers: Object.fromEntries(['0', '4', '9'].map((one) => [one, '00'.repeat(32)])),
        },
      ],
      ...change,
    };
    writeFileSync(path('values.json'), JSON.stringify(values));
    return path('values.json');
  }

  /** Verifies a bundle with `evidence verify`. */
  async function verify(
    json: EvidenceBundle,
    channel: string,
    { args = [], change = {} }: { readonly args?: readonly string[]; readonly change?: object } = {},
  ): Promise<Verified> {
    writeFileSync(path('changed.json'), JSON.stringify(json));
    writeFileSync(path('document.toml'), readFileSync(join(agent.directory, 'config.toml')));
    const given = (option: string): boolean => args.includes(option);
    const { code, stdout, stderr } = await ctl([
      'evidence',
      'verify',
      path('changed.json'),
      '--format',
      'json',
      '--reference',
      reference(original, change),
      ...(given('--config') ? [] : ['--config', path('document.toml')]),
      ...(given('--nonce') ? [] : ['--nonce', nonce]),
      ...(given('--channel') ? [] : ['--channel', channel]),
      ...(given('--pin') ? [] : ['--pin', pin()]),
      ...args,
    ]);
    const parsed = stdout === '' ? { verified: false, result: stderr, links: [] } : JSON.parse(stdout);
    return { ...(parsed as Omit<Verified, 'code' | 'stderr'>), code, stderr };
  }
  let original: EvidenceBundle;

  it('is verified: every link is ok', async () => {
    const { json, channel } = await attest();
    original = json;
    assert.match(channel, /^tls-exporter:[0-9a-f]{64}$/);
    const { code, result, links } = await verify(json, channel);
    assert.deepEqual(
      links.map(({ name, state }) => `${name} ${state}`),
      [
        'evidence.kinds',
        'tpm.signature',
        'tpm.key',
        'tpm.root',
        'tpm.extra-data',
        'tpm.registers',
        'tpm.values',
        'tpm.event-log',
        'claims.nonce',
        'claims.channel',
        'claims.tls-key',
        'claims.configuration',
        'claims.documents',
        'claims.checkpoint',
        'tpm.configuration',
        'tpm.keys',
      ].map((name) => `${name} ok`),
      JSON.stringify(links, undefined, 1),
    );
    assert.equal(result, 'verified');
    assert.equal(code, 0);
    // What config digest foretells is the first event; the keys follow.
    const foretold = await ctl(['config', 'digest', path('document.toml'), '--format', 'json']);
    const { configuration } = JSON.parse(foretold.stdout) as {
      configuration: { asIs: { measured: { sha256: string }; pcr: { sha256: string } } };
    };
    const [first] = json.event_logs.tpm;
    const digest = first?.digests.find(({ hashAlg }) => hashAlg === 'sha256')?.digest;
    assert.equal(digest, configuration.asIs.measured.sha256);
    assert.equal(json.event_logs.tpm.length, 3);
    assert.equal(json.evidence[0]?.registers['13'], tpm.read('sha256', 13));
    assert.notEqual(tpm.read('sha256', 13), configuration.asIs.pcr.sha256);
  });

  it('the quote and the key are also accepted by tpm2_checkquote', async () => {
    const { json } = await attest();
    const [{ attest: quoted, signature, public: area } = { attest: '', signature: '', public: '' }] =
      json.evidence;
    const bytes = Buffer.from(area, 'base64');
    const sized = Buffer.alloc(2);
    sized.writeUInt16BE(bytes.length);
    writeFileSync(path('ak.pub'), Buffer.concat([sized, bytes]));
    writeFileSync(path('quote'), Buffer.from(quoted, 'base64'));
    writeFileSync(path('signature'), Buffer.from(signature, 'base64'));
    const digest = createHash('sha384').update(Buffer.from(json.claims, 'base64')).digest('hex');
    const printed = tpm.tool('tpm2_checkquote', [
      '-u',
      path('ak.pub'),
      '-m',
      path('quote'),
      '-s',
      path('signature'),
      '-g',
      'sha256',
      '-q',
      digest,
    ]);
    assert.match(printed, /sig/);
    assert.equal(tpm.tool('tpm2_getcap', ['handles-transient']).trim(), '', 'no key is left in the TPM');
  });

  it('12 changes are found, each with the link that broke', async () => {
    const { json, channel } = await attest();
    original = json;
    const older = json.checkpoint;
    // A denied call is a record.
    const channelOfHost = connect(connectSocket(path('run/host.sock')));
    assert.notEqual(
      (await answerOf(createClient(AgentService, channelOfHost).createContainer({}))).code,
      'OK',
    );
    channelOfHost.close();
    const changed = (edit: (json: EvidenceBundle) => void): EvidenceBundle => {
      const copy = structuredClone(json);
      edit(copy);
      return copy;
    };
    const editClaims = (from: RegExp, to: string) => (copy: EvidenceBundle) => {
      const text = Buffer.from(copy.claims, 'base64').toString();
      assert.match(text, from);
      copy.claims = Buffer.from(text.replace(from, to)).toString('base64');
    };
    const { json: newer, channel: newerChannel } = await attest();
    assert.notEqual(newer.checkpoint, older);
    const firstEvidence = (copy: EvidenceBundle): EvidenceBundle['evidence'][number] =>
      copy.evidence[0] ?? assert.fail();
    writeFileSync(path('other.toml'), `${readFileSync(join(agent.directory, 'config.toml'), 'utf8')}\n`);
    const other = 'ab'.repeat(32);
    const cases: readonly (readonly [
      what: string,
      broken: string,
      json: EvidenceBundle,
      args?: readonly string[],
    ])[] = [
      ['another nonce', 'claims.nonce', json, ['--nonce', other]],
      ['the nonce in the claims', 'tpm.extra-data', changed(editClaims(/"nonce":"5a/, '"nonce":"5b'))],
      ['another configuration', 'claims.configuration', json, ['--config', path('other.toml')]],
      [
        'one byte of the event log',
        'tpm.event-log',
        changed((copy) => {
          const record = copy.event_logs.tpm[0] ?? assert.fail();
          record.content.event_data = record.content.event_data.replace(/..$/, '00');
        }),
      ],
      [
        'an older checkpoint',
        'claims.checkpoint',
        { ...newer, checkpoint: older },
        ['--channel', newerChannel],
      ],
      ['another TLS key', 'claims.tls-key', json, ['--pin', `spki:sha256:${other}`]],
      [
        'the TLS key in the claims',
        'tpm.extra-data',
        changed(editClaims(/"tls_spki":"[0-9a-f]{64}"/, `"tls_spki":"${other}"`)),
      ],
      [
        'the separator removed',
        'tpm.event-log',
        changed((copy) => {
          copy.event_logs.tpm.pop();
        }),
      ],
      [
        'an event after the separator',
        'tpm.event-log',
        changed((copy) => {
          const record = structuredClone(copy.event_logs.tpm[1] ?? assert.fail());
          copy.event_logs.tpm.push({ ...record, recnum: copy.event_logs.tpm.length } as typeof record);
        }),
      ],
      [
        'a register left out of the selection',
        'tpm.registers',
        changed((copy) => {
          delete firstEvidence(copy).registers['4'];
        }),
      ],
      [
        'a register with another value',
        'tpm.registers',
        changed((copy) => {
          firstEvidence(copy).registers['4'] = other;
        }),
      ],
      ['tree_size', 'tpm.extra-data', changed(editClaims(/"tree_size":\d+/, '"tree_size":1'))],
      [
        'a document',
        'claims.documents',
        changed((copy) => {
          (copy.documents[0] ?? assert.fail()).sha256 = other;
        }),
      ],
      ['another connection', 'claims.channel', json, ['--channel', `tls-exporter:${other}`]],
      [
        'a byte of the quote',
        'tpm.signature',
        changed((copy) => {
          const bytes = Buffer.from(firstEvidence(copy).attest, 'base64');
          bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
          firstEvidence(copy).attest = bytes.toString('base64');
        }),
      ],
    ];
    for (const [what, broken, bundle, args = []] of cases) {
      const { code, links, result } = await verify(bundle, channel, { args });
      assert.equal(code, 4, `${what}: ${result}`);
      const [first] = links.filter(({ state }) => state !== 'ok');
      assert.equal(first?.name, broken, `${what}: ${JSON.stringify(links)}`);
      assert.equal(first?.state, 'failed', what);
      assert.ok(result.includes(broken), result);
    }
  });

  it('another TPM, which the host could run, is unrooted, and one without known values is unknown software', async () => {
    const { json, channel } = await attest();
    original = json;
    const others = {
      tpm: [{ ak: `000b${'11'.repeat(32)}`, bank: 'sha256', registers: { '0': '00'.repeat(32) } }],
    };
    const unrooted = await verify(json, channel, { change: others });
    assert.equal(unrooted.code, 4);
    assert.match(unrooted.result, /tpm\.root is not checked: unrooted/);
    const ak = attestationKeyName(json.evidence[0]?.public ?? '');
    const tuple = { ak, bank: 'sha256' };
    for (const registers of [{}, { '4': '11'.repeat(32) }]) {
      const unknown = await verify(json, channel, { change: { tpm: [{ ...tuple, registers }] } });
      assert.equal(unknown.code, 4);
      assert.match(unknown.result, /^genuine hardware, unknown software: /);
    }
    const waived = await verify(json, channel, {
      change: { tpm: [{ ...tuple, registers: {} }], waive: ['tpm.values'] },
    });
    assert.equal(waived.result, 'verified');
    // What failed cannot be waived.
    const wrong = await verify(json, channel, {
      change: { tpm: [{ ...tuple, registers: { '4': '11'.repeat(32) } }], waive: ['tpm.values'] },
    });
    assert.equal(wrong.code, 4);
    for (const change of [{ accept: ['snp'] }, { accept: ['snp', 'tpm'], require: ['snp'] }]) {
      const down = await verify(json, channel, { change });
      assert.equal(down.code, 4);
      assert.match(down.result, /evidence\.kinds failed/);
    }
    const resettable = await verify(json, channel, {
      change: { tpm: [{ ...tuple, registers: { '23': '00'.repeat(32) } }] },
    });
    assert.match(resettable.stderr, /register 23 can be reset/);
  });

  it('binds the checkpoint of an audit log, and not another one', async () => {
    const { json } = await attest();
    const bundle = path('bundle.json');
    const log = path('run/audit.log');
    const verifyLog = async (change: object, ...more: readonly string[]) =>
      await ctl([
        'audit',
        'verify',
        log,
        '--evidence',
        bundle,
        '--reference',
        reference(json, change),
        ...more,
      ]);
    const bound = await verifyLog({});
    assert.equal(bound.code, 0, bound.stdout + bound.stderr);
    assert.match(bound.stdout, /checkpoint of kata-agent\/[0-9a-f]{64}: \d+ records.*: bound by evidence/);
    assert.match(bound.stdout, /not bound: that a key broker gave its secrets to this guest alone/);
    const config = join(agent.directory, 'config.toml');
    const files = [config, log, bundle, '--reference', reference(json, {}), '--html', path('report.html')];
    const reported = await ctl(['report', ...files]);
    assert.equal(reported.code, 0, reported.stdout + reported.stderr);
    assert.match(readFileSync(path('report.html'), 'utf8'), /proved<[^]*: bound by evidence</);
    writeFileSync(path('checkpoint'), json.checkpoint);
    assert.equal((await verifyLog({}, '--checkpoint', path('checkpoint'))).code, 0);
    const { code, stdout } = await ctl(['audit', 'verify', log, '--checkpoint', path('checkpoint')]);
    assert.equal(code, 4);
    assert.match(stdout, /self-signed only/);
    // The same key, after more records: equal calls have one record for some seconds.
    await eventually(async () => assert.notEqual((await attest()).json.checkpoint, json.checkpoint));
    const other = await verifyLog({}, '--checkpoint', path('checkpoint'));
    assert.equal(other.code, 4);
    assert.match(other.stdout, /the evidence binds another tree of this key/);
    const unknown = await verifyLog({ configurations: ['00'.repeat(32)] });
    assert.equal(unknown.code, 4);
    assert.match(unknown.stderr, /claims\.configuration failed/);
    assert.equal((await ctl(['audit', 'verify', log, '--evidence', bundle])).code, 2);
  });

  it('--attested connects to the agent without a pin, and refuses one with other values', async () => {
    const { json } = await attest();
    const values = reference(json);
    const good = await ctl(['call', 'GetGuestDetails', '{}', ...overTls(), '--attested', values]);
    assert.equal(good.code, 0, good.stderr);
    const other = reference(json, { configurations: ['00'.repeat(32)] });
    const bad = await ctl(['call', 'GetGuestDetails', '{}', ...overTls(), '--attested', other]);
    assert.equal(bad.code, 4, bad.stderr);
    assert.match(bad.stderr, /does not match the reference values: .*claims\.configuration/);
    const onUnix = await ctl(['check', '-a', `unix://${path('run/host.sock')}`, '--attested', values]);
    assert.equal(onUnix.code, 2);
    assert.match(onUnix.stderr, /--attested has no effect/);
  });

  it('a relay that ends TLS and passes Attest on is found, and gets no other call', async (t) => {
    const { json } = await attest();
    const values = reference(json);
    const own = ca.client({ commonNames: ['kata-agent'] });
    const relay = await TlsRelay.start({ host, port: 8443 }, own, client);
    t.after(() => relay.close());
    const { code, stderr } = await ctl([
      'call',
      'GetGuestDetails',
      '{}',
      '-a',
      `tls://127.0.0.1:${relay.port}`,
      '--cert',
      path('cert'),
      '--key',
      path('key'),
      '--attested',
      values,
    ]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /claims\.channel: failed/);
    assert.match(stderr, /claims\.tls-key: failed/);
    assert.ok(relay.passed.length > 0, 'Attest was passed on');
    assert.doesNotMatch(relay.passed, /GetGuestDetails/);
  });

  it('inside the TLS of a realm, the channel is the connection of the operator, and for the realm itself its own', async () => {
    // Nobody calls Health, so that the agent has dialled again if the tests before took long.
    let dialled = await realm.next();
    while (dialled.socket.destroyed) dialled = await realm.next();
    const claimsOf = async (management: Client<typeof Management>): Promise<string> => {
      const { bundle } = await management.attest({ nonce: new Uint8Array(32) });
      return Buffer.from(
        (JSON.parse(Buffer.from(bundle).toString()) as EvidenceBundle).claims,
        'base64',
      ).toString();
    };
    const operator = await connectOperator(realm, dialled, client);
    const exporter = exporterOf(operator.socket);
    assert.ok((await claimsOf(operator.management)).includes(`"channel":"tls-exporter:${exporter}"`));
    operator.channel.close();
    // The realm's end of its own connection.
    const ofRealm = exporterOf(dialled.socket);
    assert.notEqual(ofRealm, exporter);
    assert.ok((await claimsOf(dialled.management)).includes(`"channel":"tls-exporter:${ofRealm}"`));
  });

  it('on a unix socket the channel is the kind of the listener; nonces of other lengths are refused', async () => {
    const channel = connect(connectSocket(path('run/host.sock')));
    const management = createClient(Management, channel);
    const { bundle } = await management.attest({ nonce: new Uint8Array(64) });
    const { claims } = JSON.parse(Buffer.from(bundle).toString()) as EvidenceBundle;
    assert.match(Buffer.from(claims, 'base64').toString(), /"channel":"none:unix"/);
    for (const length of [0, 31, 65])
      assert.equal(
        (await answerOf(management.attest({ nonce: new Uint8Array(length) }))).code,
        'INVALID_ARGUMENT',
      );
    const many = await Promise.all(
      Array.from({ length: 24 }, () => answerOf(management.attest({ nonce: new Uint8Array(32) }))),
    );
    const codes = new Set(many.map(({ code }) => code));
    assert.deepEqual([...codes].sort(), ['OK', 'RESOURCE_EXHAUSTED']);
    channel.close();
  });

  it('a later start in the same boot extends nothing, and its keys are not believed', async () => {
    const value = tpm.read('sha256', 13);
    await agent.stop();
    agent = await AgentProcess.start(agentWithTpm(config, tpm, directory));
    assert.equal(tpm.read('sha256', 13), value);
    assert.match(agent.log.join('\n'), /the keys of this start are not measured/);
    const { json, channel } = await attest();
    original = json;
    const { code, result } = await verify(json, channel);
    assert.equal(code, 4);
    assert.match(result, /tpm\.keys failed: .*the agent was started again in this boot/);
  });

  it('a container that has become root can extend the register, and is not believed', async () => {
    const { json, channel } = await attest();
    tpm.tool('tpm2_pcrextend', [`13:sha256=${'77'.repeat(32)}`]);
    const { json: later, channel: laterChannel } = await attest();
    original = json;
    assert.match((await verify(later, laterChannel)).result, /tpm\.event-log failed/);
    assert.match((await verify(json, channel)).result, /tpm\.keys failed/);
  });

  it('a missing source is fatal before the agent listens, if it is required', async () => {
    const evidence = tpmEvidence('require = ["configfs-tsm"]')
      .replace('tpm = "require"', 'tpm = "try"')
      .replace('["tpm"]', '["configfs-tsm", "tpm"]');
    const missing = configOf(evidence, realm.port);
    rmSync(path('run'), { recursive: true });
    mkdirSync(path('run/kata-agent'), { recursive: true });
    const { code, stderr } = await AgentProcess.run(agentWithTpm(missing, tpm, directory));
    assert.equal(code, 3, stderr);
    assert.match(
      stderr,
      /source of evidence \\"configfs-tsm\\", which is required, is not there: .*not a confidential guest/,
    );
    assert.doesNotMatch(stderr, /"msg":"listening"/);
    assert.ok(!existsSync(path('run/kata-agent/agent.sock')));
  });
});

describe('a TPM whose attestation key has a certificate', { skip: whyNoTpm() ?? false }, () => {
  it('is rooted by a CA of the values file, without a pinned key', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-evidence-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = (name: string): string => join(directory, name);
    mkdirSync(path('run/kata-agent'), { recursive: true });
    const tpm = await SoftTpm.start();
    t.after(() => tpm.stop());
    // What an operator does once, with a TPM that is theirs: the key is the same each time.
    tpm.tool('tpm2_createprimary', [
      '-C',
      'e',
      '-g',
      'sha256',
      '-G',
      'ecc256:ecdsa-sha256:null',
      '-c',
      path('ak.ctx'),
      '-a',
      'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign',
    ]);
    tpm.tool('tpm2_readpublic', ['-c', path('ak.ctx'), '-f', 'pem', '-o', path('ak.pem')]);
    tpm.tool('tpm2_flushcontext', ['-t']);
    const tpmCa = new Authority('TPM CA');
    const publicKey = createPublicKey(readFileSync(path('ak.pem')));
    const { cert } = tpmCa.client({
      commonNames: ['AK of guest 1'],
      usages: ['2.23.133.8.3'],
      key: { publicKey, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey },
    });
    const der = Buffer.from(cert.replace(/-----[^-]+-----/g, ''), 'base64');
    writeFileSync(path('ak.der'), der);
    tpm.tool('tpm2_nvdefine', [
      '0x1800100',
      '-C',
      'o',
      '-s',
      String(der.length + 600),
      '-a',
      'ownerwrite|ownerread|authread',
    ]);
    tpm.tool('tpm2_nvwrite', ['0x1800100', '-C', 'o', '-i', path('ak.der')]);

    const realm = await DialServer.start(realmCa.server(['localhost']));
    t.after(() => realm.close());
    const config = configOf(tpmEvidence('ak_certificate = 0x1800100'), realm.port);
    const agent = await AgentProcess.start(agentWithTpm(config, tpm, directory));
    t.after(() => agent.dispose());
    const address = `unix://${path('run/host.sock')}`;
    const out = await ctl(['attest', '-a', address, '--nonce', nonce, '--out', path('bundle.json')]);
    assert.equal(out.code, 0, out.stderr);
    const { claims } = JSON.parse(readFileSync(path('bundle.json'), 'utf8')) as EvidenceBundle;
    assert.match(Buffer.from(claims, 'base64').toString(), /"tpm_ak":"000b[0-9a-f]{64}"/);
    writeFileSync(path('document.toml'), readFileSync(join(agent.directory, 'config.toml')));
    const verify = async (ca: Authority) => {
      writeFileSync(
        path('values.json'),
        JSON.stringify({
          v: 1,
          accept: ['tpm'],
          waive: ['claims.channel', 'claims.tls-key', 'tpm.revocation'],
          tpm: [{ bank: 'sha256', registers: { '4': '00'.repeat(32) } }],
          tpm_roots: { certificates: ca.pem },
        }),
      );
      return await ctl([
        'evidence',
        'verify',
        path('bundle.json'),
        '--reference',
        path('values.json'),
        '--config',
        path('document.toml'),
        '--nonce',
        nonce,
      ]);
    };
    const rooted = await verify(tpmCa);
    assert.match(rooted.stdout, /ok +tpm\.root +rooted: AK of guest 1 by TPM CA/);
    assert.equal(rooted.code, 0, rooted.stdout);
    const other = await verify(new Authority('TPM CA'));
    assert.equal(other.code, 4);
    assert.match(other.stdout, /failed +tpm\.root .*its signature is wrong/);
  });
});

function exporterOf(socket: TLSSocket): string {
  return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('hex');
}
