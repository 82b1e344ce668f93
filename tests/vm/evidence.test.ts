import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, StorageSchema } from '@kata-agent/protocol/agent';
import {
  LinuxDeviceCgroupSchema,
  LinuxDeviceSchema,
  LinuxResourcesSchema,
  MountSchema,
} from '@kata-agent/protocol/oci';
import { Authority } from '../harness/authority.js';
import { readAll } from '../harness/container-client.js';
import { type EvidenceBundle, valuesOfTrusted } from '../harness/evidence-bundle.js';
import { answerOf } from '../harness/sweep.js';
import { whyNoTpm } from '../harness/swtpm.js';
import { TlsRelay } from '../harness/tls-relay.js';
import { tpmEvidence } from '../harness/tpm-evidence.js';
import { container, ext4Disk, rootDirectory } from './hotplug.js';
import { hostListener, tenantListener, tenantPort } from './listeners.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { ctl, type Ended, TenantClient } from './tenant-client.js';

const skip = whyNoMachine() ?? whyNoTpm() ?? false;
const authority = new Authority('tenants');
const certificate = authority.client({ commonNames: ['tenant'] });
const nonce = '5a'.repeat(32);
const other = 'ab'.repeat(32);

/** The host may do all that an agent can serve: what keeps evidence from containers is no list and no rule. */
const configuration = `[agent]
lock = true
privileged_containers = "allow"

${tpmEvidence()}
${hostListener('allowed_endpoints = ["*"]\n')}
${tenantListener({
  peer: 'cn:tenant',
  clientCa: authority.pem,
  rights: 'allowed_endpoints = ["GetGuestDetails"]\nmanagement = ["Attest", "Describe"]\n',
})}`;

interface Verified {
  readonly code: number | null;
  readonly result: string;
  readonly links: readonly { readonly name: string; readonly state: string; readonly what: string }[];
}

describe('evidence of a guest with a TPM (R18)', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-evidence-host-'));
  const path = (name: string): string => join(directory, name);
  after(() => rmSync(directory, { recursive: true }));

  const guest = runningGuest('evidence', async (own) => {
    writeFileSync(path('config.toml'), configuration);
    return boot(await imageOf('evidence', { config: path('config.toml') }), own, {
      tpm: join(own, 'tpm'),
      ports: [tenantPort],
      disks: [ext4Disk(own, 'rootfs', rootDirectory(own, 'rootfs'))],
    });
  });
  const tenant = new TenantClient(guest, certificate);

  interface Attested {
    readonly json: EvidenceBundle;
    readonly channel: string;
  }
  async function attest(): Promise<Attested> {
    const options = ['--pin', await tenant.pin(), '--nonce', nonce, '--out', path('bundle.json')];
    const { code, stdout, stderr } = await tenant.run(['attest', ...options, '--format', 'json']);
    assert.equal(code, 0, stderr);
    const { channel } = JSON.parse(stdout) as { readonly channel: string };
    return { json: JSON.parse(readFileSync(path('bundle.json'), 'utf8')) as EvidenceBundle, channel };
  }

  async function digest(): Promise<string> {
    const { stdout } = await ctl(['config', 'digest', path('config.toml'), '--format', 'json']);
    const printed = JSON.parse(stdout) as { configuration: { asIs: { digest: string } } };
    return printed.configuration.asIs.digest;
  }

  /** The first bundle: its TPM and the values of its registers are those that the operator trusts. */
  let trusted: Attested;
  let values = '';

  async function verify(
    { json, channel }: Attested,
    change: Readonly<Record<string, string>> = {},
  ): Promise<Verified> {
    writeFileSync(path('changed.json'), JSON.stringify(json));
    const options = {
      reference: values,
      config: path('config.toml'),
      nonce,
      channel,
      pin: await tenant.pin(),
      ...change,
    };
    const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const { code, stdout, stderr } = await ctl(
      ['evidence', 'verify', path('changed.json'), '--format', 'json'],
      given,
    );
    assert.notEqual(stdout, '', stderr);
    return { ...(JSON.parse(stdout) as Omit<Verified, 'code'>), code };
  }

  it('is verified: every link is ok, with the registers and the log of the firmware', async (t) => {
    const began = performance.now();
    trusted = await attest();
    t.diagnostic(`attest: ${Math.round(performance.now() - began)} ms, with a new connection`);
    values = path('values.json');
    writeFileSync(values, JSON.stringify(valuesOfTrusted(trusted.json, await digest())));
    const { code, result, links } = await verify(trusted);
    assert.deepEqual(
      links.filter(({ state }) => state !== 'ok'),
      [],
    );
    assert.equal(result, 'verified');
    assert.equal(code, 0);
    const { evidence, event_logs: logs } = trusted.json;
    t.diagnostic(`registers: ${Object.keys(evidence[0]?.registers ?? {}).join(' ')}`);
    t.diagnostic(`log of the firmware: ${Buffer.from(logs.firmware ?? '', 'base64').length} bytes`);
    assert.equal(logs.tpm.length, 3);
  });

  it('12 changes are found, each with the link that broke', async (t) => {
    const { json, channel } = trusted;
    // A denied call is a record of the audit log.
    assert.notEqual((await answerOf(guest.agent.startContainer({ containerId: 'none' }))).code, 'OK');
    const newer = await attest();
    const changed = (edit: (copy: EvidenceBundle) => void): Attested => {
      const copy = structuredClone(json);
      edit(copy);
      return { json: copy, channel };
    };
    const claims = (from: RegExp, to: string): Attested =>
      changed((copy) => {
        const text = Buffer.from(copy.claims, 'base64').toString();
        assert.match(text, from);
        copy.claims = Buffer.from(text.replace(from, to)).toString('base64');
      });
    const record = (copy: EvidenceBundle, index: number) => copy.event_logs.tpm[index] ?? assert.fail();
    writeFileSync(path('other.toml'), `${configuration}\n`);
    const cases: readonly (readonly [
      what: string,
      broken: string,
      bundle: Attested,
      options?: Readonly<Record<string, string>>,
    ])[] = [
      ['another nonce', 'claims.nonce', trusted, { nonce: other }],
      ['the nonce in the claims', 'tpm.extra-data', claims(/"nonce":"5a/, '"nonce":"5b')],
      ['another configuration', 'claims.configuration', trusted, { config: path('other.toml') }],
      [
        'one byte of the event log',
        'tpm.event-log',
        changed((copy) => {
          const { content } = record(copy, 0);
          content.event_data = content.event_data.replace(/..$/, '00');
        }),
      ],
      ['another attestation key', 'tpm.root', changed(signByAnotherKey)],
      [
        'an older checkpoint',
        'claims.checkpoint',
        { ...newer, json: { ...newer.json, checkpoint: json.checkpoint } },
      ],
      ['another TLS key', 'claims.tls-key', trusted, { pin: `spki:sha256:${other}` }],
      [
        'the event of the keys removed',
        'tpm.event-log',
        changed((copy) => {
          copy.event_logs.tpm.splice(1, 1);
          // As one who removes a record would number the others.
          Object.assign(record(copy, 1), { recnum: 1 });
        }),
      ],
      ['the separator removed', 'tpm.event-log', changed((copy) => copy.event_logs.tpm.pop())],
      [
        'the value of a register',
        'tpm.registers',
        changed((copy) => {
          (copy.evidence[0] ?? assert.fail()).registers['4'] = other;
        }),
      ],
      ['the boot id in the claims', 'tpm.extra-data', claims(/"boot_id":"[^"]+"/, '"boot_id":"b001"')],
      [
        'the log key in the claims',
        'tpm.extra-data',
        claims(/"log_key":"([^"]+)\+[^"]+"/, '"log_key":"$1+AAAA"'),
      ],
      [
        'the digest of a document',
        'claims.documents',
        changed((copy) => {
          (copy.documents[0] ?? assert.fail()).sha256 = other;
        }),
      ],
      ['another connection', 'claims.channel', newer, { channel }],
      [
        'a quote of other claims',
        'tpm.extra-data',
        changed((copy) => {
          copy.evidence = newer.json.evidence;
        }),
      ],
      [
        'a byte of the quote',
        'tpm.signature',
        changed((copy) => {
          const [quote] = copy.evidence;
          const bytes = Buffer.from(quote?.attest ?? '', 'base64');
          bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          if (quote !== undefined) quote.attest = bytes.toString('base64');
        }),
      ],
    ];
    for (const [what, broken, bundle, options] of cases) {
      const { code, links, result } = await verify(bundle, options);
      assert.equal(code, 4, `${what}: ${result}`);
      const [first] = links.filter(({ state }) => state !== 'ok');
      assert.equal(first?.name, broken, `${what}: ${JSON.stringify(links)}`);
      assert.ok(result.includes(broken), result);
      t.diagnostic(`${what}: ${first.name} ${first.state}`);
    }
  });

  it('the tenant verifies it before anything is sent; a relay that ends TLS fails, and sees no other call', async (t) => {
    const call = ['call', 'GetGuestDetails', '{}', '--attested', values];
    const direct: Ended = await tenant.run(call);
    assert.equal(direct.code, 0, direct.stderr);
    const agent = { host: '127.0.0.1', port: guest.machine.port(tenantPort) ?? assert.fail() };
    const relay = await TlsRelay.start(agent, authority.client({ commonNames: ['kata-agent'] }), certificate);
    t.after(() => relay.close());
    const { code, stderr } = await tenant.run(call, relay.port);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /claims\.channel: failed/);
    assert.match(stderr, /claims\.tls-key: failed/);
    assert.ok(relay.passed.length > 0, 'Attest was passed on');
    assert.doesNotMatch(relay.passed, /GetGuestDetails/);
  });

  type Change = (request: CreateContainerRequest, tpm: readonly bigint[]) => void;
  const device =
    (Path: string, number: (tpm: readonly bigint[]) => readonly bigint[]): Change =>
    ({ OCI }, tpm) => {
      const [Major = 0n, Minor = 0n] = number(tpm);
      OCI?.Linux?.Devices.push(create(LinuxDeviceSchema, { Path, Type: 'c', Major, Minor, FileMode: 0o666 }));
    };
  const mount =
    (source: string): Change =>
    ({ OCI }) => {
      const destination = '/from-the-guest';
      OCI?.Mounts.push(create(MountSchema, { destination, type: 'bind', source, options: ['rbind'] }));
    };
  const attempts: Readonly<Record<string, Change>> = {
    'a device by its path': device('/dev/tpmrm0', () => [1n, 3n]),
    'a device by its number': device('/dev/null2', (tpm) => tpm),
    'a device by the number of the first TPM': device('/dev/null2', () => [10n, 224n]),
    'a mount of a device': mount('/dev/tpm0'),
    'a mount of the device of the resource manager': mount('/dev/tpmrm0'),
    'a mount of all devices': mount('/dev'),
    'a mount of the directory of configfs': mount('/sys/kernel'),
  };

  function workload(id: string, script: string): CreateContainerRequest {
    const root = `/run/kata-containers/${id}/rootfs`;
    const request = container(id, script, { root });
    request.storages.push(
      create(StorageSchema, { driver: 'blk', source: '10', fstype: 'ext4', mountPoint: root }),
    );
    return request;
  }

  /** All devices and capabilities, as privileged containers have them. */
  function makePrivileged({ OCI }: CreateContainerRequest): void {
    const all = { Allow: true, Type: 'a', Major: -1n, Minor: -1n, Access: 'rwm' };
    if (OCI?.Linux)
      OCI.Linux.Resources = create(LinuxResourcesSchema, { Devices: [create(LinuxDeviceCgroupSchema, all)] });
    const sets = OCI?.Process?.Capabilities;
    for (const set of [sets?.Bounding, sets?.Effective, sets?.Permitted])
      set?.push('CAP_MKNOD', 'CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE');
  }

  it('a container gets no evidence of its own', async (t) => {
    await guest.agent.createSandbox({ sandboxId: 'pod' });
    const numbers = await shell(guest.machine, 'cat /sys/class/tpmrm/tpmrm0/dev');
    const tpm = numbers.trim().split(':').map(BigInt);
    for (const [what, change] of Object.entries(attempts)) {
      const request = workload('attempt', 'true');
      change(request, tpm);
      const { code, message } = await answerOf(guest.agent.createContainer(request));
      t.diagnostic(`${what}: ${code}: ${message}`);
      assert.notEqual(code, 'OK', what);
    }
    const open = (directory: string): string =>
      `cd ${directory}; for n in tpm0 tpmrm0 zero; do (exec 3<>$n) && echo $n; done; true`;
    // In /dev: other mounts have no devices.
    const nodes = `mkdir /dev/own; cd /dev/own; mknod tpm0 c 10 224; mknod tpmrm0 c ${tpm.join(' ')}; mknod zero c 1 5`;
    const privileged = workload('privileged', `${nodes.replaceAll('mk', 'busybox mk')}; ${open('/dev/own')}`);
    makePrivileged(privileged);
    const { containerId } = privileged;
    await guest.agent.createContainer(privileged);
    await guest.agent.startContainer({ containerId });
    const opened = (await readAll(guest.agent, 'stdout', containerId)).toString();
    const failed = (await readAll(guest.agent, 'stderr', containerId)).toString();
    t.diagnostic(`${containerId}: ${failed.trim().replaceAll('\n', '; ')}`);
    assert.equal(opened, 'zero\n', failed);
    for (const node of ['tpm0', 'tpmrm0'])
      assert.match(failed, new RegExp(`can't (?:open|create) ${node}: Operation not permitted`));
    await guest.agent.removeContainer({ containerId });
    assert.equal((await verify(await attest())).result, 'verified');
  });

  /** Sends a command to the TPM, from a root shell in the guest; returns the response code. */
  async function tpmCommand(hex: string): Promise<string> {
    const octal = hex.replace(/../g, (byte) => `\\${Number.parseInt(byte, 16).toString(8).padStart(3, '0')}`);
    const send = `exec 3<>/dev/tpmrm0; printf '${octal}' >&3; dd bs=4096 count=1 <&3 2>/dev/null | od -An -tx1`;
    const printed = await shell(guest.machine, send);
    return printed.replaceAll(/\s/g, '').slice(12, 20);
  }
  const register = (number: number): string => number.toString(16).padStart(8, '0');
  const password = '00000009400000090000000000';
  const reset = (number: number): Promise<string> =>
    tpmCommand(`80020000001b0000013d${register(number)}${password}`);

  it('the register of the configuration cannot be reset, and one that can be is an error of the configuration', async () => {
    const before = (await attest()).json.evidence[0]?.registers['13'];
    // TPM_RC_LOCALITY.
    assert.equal(await reset(13), '00000907');
    assert.equal(await reset(23), '00000000');
    const after = await attest();
    assert.equal(after.json.evidence[0]?.registers['13'], before);
    assert.equal((await verify(after)).result, 'verified');
    for (const pcr of [16, 23]) {
      writeFileSync(
        path('resettable.toml'),
        configuration.replace('tpm = "require"', `tpm = "require"\npcr = ${pcr}`),
      );
      const { code, stderr, stdout } = await ctl(['config', 'check', path('resettable.toml')]);
      assert.notEqual(code, 0);
      assert.match(stdout + stderr, /error\[KA\d+\].*reset/s);
      const chosen = JSON.parse(readFileSync(values, 'utf8')) as object;
      writeFileSync(path('resettable.json'), JSON.stringify({ ...chosen, register: pcr }));
      const refused = await ctl(
        ['evidence', 'verify', path('bundle.json'), '--reference', path('resettable.json')],
        ['--config', path('config.toml'), '--nonce', nonce],
      );
      assert.match(refused.stderr, /register: must be an integer from 0 to 15/);
    }
  });

  it('what root in the guest extends later is found, and the first bundle is still verified', async () => {
    const extend = `800200000041000001820000000d${password}00000001000b${'77'.repeat(32)}`;
    assert.equal(await tpmCommand(extend), '00000000');
    assert.match((await verify(await attest())).result, /tpm\.event-log failed/);
    assert.equal((await verify(trusted)).result, 'verified');
  });
});

/** Replaces the attestation key by one that the host has: it can sign the same quote. */
function signByAnotherKey({ evidence: [quote] }: EvidenceBundle): void {
  if (quote === undefined) assert.fail('no quote');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const sized = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
  const both = sign('sha256', Buffer.from(quote.attest, 'base64'), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  // TPMT_SIGNATURE: ECDSA, SHA-256.
  const signature = [Buffer.from('0018000b', 'hex'), sized(both.subarray(0, 32)), sized(both.subarray(32))];
  quote.signature = Buffer.concat(signature).toString('base64');
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const area = Buffer.from(quote.public, 'base64');
  const template = area.subarray(0, area.length - 68);
  const point = [x, y].map((text) => sized(Buffer.from(text, 'base64url')));
  quote.public = Buffer.concat([template, ...point]).toString('base64');
}
