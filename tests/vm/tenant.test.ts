import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, StorageSchema } from '@kata-agent/protocol/agent';
import { hostAddress } from '@kata-agent/tool-vm/machine/run';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { processRequest } from '../harness/container-request.js';
import { RealmHome, RealmProcess } from '../harness/realm-process.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { container, ext4Disk, rootDirectory } from './hotplug.js';
import { hostListener, tenantCaFile, tenantListener, tenantPort } from './listeners.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine() ?? false;
const home = new RealmHome(
  `[[guest]]
name = "pod"
configurations = ["*"]

[[operator]]
peers = ["uri:spiffe://example/ops/*"]
guests = ["pod"]
verbs = ["list", "connect", "audit"]
`,
  [hostAddress],
);
/** Of operators: the realm and the guest both verify them. */
const ca = home.operators;
const alice = ca.client({ commonNames: [], uris: ['spiffe://example/ops/alice'] });

function configOf(): string {
  return `[agent]
lock = true

[api]
release = "4.1"
strict = true

${hostListener('allowed_endpoints = ["@pod", "@copy"]\non_denied_read = "eof"\n')}
${tenantListener({
  peer: 'uri:spiffe://example/ops/*',
  rights:
    'allowed_endpoints = ["@exec", "@stdio", "WaitProcess", "SignalProcess"]\nmanagement = ["Describe", "WatchAudit", "RevokePeer"]\n',
})}
[[listener]]
name = "realm"
address = "https://${hostAddress}:${home.ports.guests}/guests"
peers = ["uri:spiffe://example/ops/*"]
allowed_endpoints = ["@exec", "@stdio", "WaitProcess", "SignalProcess"]
management = ["Describe", "WatchAudit"]

[listener.tls]
server_ca = ${JSON.stringify(home.ca.pem)}
pins = ["spki:sha256:${home.certificate.spki()}"]
client_ca = "${tenantCaFile}"
`;
}

describe('a confidential guest with a listener for its tenant, and one that dials out (R14)', {
  skip,
}, () => {
  let realm: RealmProcess | undefined;
  after(async () => {
    await realm?.stop();
    home.remove();
  });
  const guest = runningGuest('tenant', async (directory) => {
    realm = await RealmProcess.start(home);
    const file = join(repository, 'build', 'vm-tests', 'tenant', 'config.toml');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, configOf());
    const files = [{ path: tenantCaFile, data: Buffer.from(ca.pem), mode: 0o644 }];
    const image = await imageOf('tenant', { config: file, files });
    return boot(image, directory, {
      disks: ['rootfs', 'flood'].map((name) => ext4Disk(directory, name, rootDirectory(directory, name))),
      ports: [tenantPort],
      reach: [home.ports.guests],
    });
  });

  /** The records of the guest's log that have this text. */
  async function records(text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const lines = await shell(guest.machine, `grep -F '${text}' /run/kata-agent/audit.log || true`);
    const whole = lines.split('\n').filter((line) => line.endsWith('}'));
    return whole.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  async function pin(): Promise<string> {
    const [boot] = await records('"kind":"boot"');
    return (boot as unknown as { facts: { tls: { pin: string } } }).facts.tls.pin;
  }

  async function ctl(
    command: readonly string[],
    certificate: ClientCertificate = alice,
    until?: RegExp,
    options = ['-a', `tls://127.0.0.1:${guest.machine.port(tenantPort)}`],
  ): Promise<{ code: number | null; output: string }> {
    const { directory } = guest;
    writeFileSync(join(directory, 'cert'), certificate.cert);
    writeFileSync(join(directory, 'key'), certificate.key);
    const [verb = '', ...rest] = command;
    const files = ['--cert', join(directory, 'cert'), '--key', join(directory, 'key'), '--pin', await pin()];
    const args = [ctlProgram, ...options, '--timeout', '60s', ...files, verb, ...rest];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let interrupted = false;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        // Once: a second signal ends it at once.
        if (!interrupted && until?.test(output) === true) interrupted = child.kill('SIGINT');
      });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  function workload(id: string, script: string, source = '10'): CreateContainerRequest {
    const root = `/run/kata-containers/${id}/rootfs`;
    const request = container(id, script, { root });
    const disk = { driver: 'blk', source, fstype: 'ext4', mountPoint: root };
    request.storages.push(create(StorageSchema, disk));
    return request;
  }

  /** Calls of the host, one after another: the milliseconds of each. */
  async function host(calls: number): Promise<readonly number[]> {
    const times: number[] = [];
    for (let n = 0; n < calls; n += 1) {
      const began = performance.now();
      await guest.agent.readStdout({ containerId: 'pod', execId: 'pod', len: 100 });
      times.push(performance.now() - began);
    }
    return times;
  }

  /** Open connections from an address to the tenant's listener. */
  async function connectionsOf(address: string): Promise<number> {
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    const hex = Buffer.from([d, c, b, a]).toString('hex').toUpperCase();
    const port = tenantPort.toString(16).toUpperCase();
    return Number(
      await shell(
        guest.machine,
        `cat /proc/net/tcp /proc/net/tcp6 | grep -c '${hex}:${port} .*${hex}:.* 01 ' || true`,
      ),
    );
  }

  it('the host runs the pod', async () => {
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await guest.agent.createContainer(workload('pod', 'echo of the workload; sleep 100000'));
    await guest.agent.startContainer({ containerId: 'pod' });
  });

  it('the tenant runs commands and reads output', async (t) => {
    const began = performance.now();
    const exec = await ctl(['exec', 'pod', '--', 'sh', '-c', 'hostname; exit 3']);
    t.diagnostic(`exec over TLS: ${Math.round(performance.now() - began)} ms, with a new connection`);
    assert.deepEqual(exec, { code: 3, output: 'pod\n' });
    const logs = await ctl(['logs', 'pod'], alice, /of the workload/);
    assert.match(logs.output, /of the workload/);
  });

  it('the host can do neither, and reads the end of output', async () => {
    const process = processRequest(['sh']);
    const exec = await answerOf(guest.agent.execProcess({ containerId: 'pod', execId: 'e', process }));
    assert.equal(exec.code, 'UNIMPLEMENTED');
    const read = await guest.agent.readStdout({ containerId: 'pod', execId: 'pod', len: 100 });
    assert.equal(read.data.length, 0);
  });

  it('nobody else of the network gets in', async () => {
    const stranger = await ctl(['describe'], ca.client({ commonNames: ['stranger'] }));
    assert.equal(stranger.code, 3, stranger.output);
    const foreign = await ctl(['describe'], new Authority('another').client());
    assert.equal(foreign.code, 3, foreign.output);
    while ((await records('KA3203')).length < 2) await delay(100);
    const texts = (await records('KA3203')).map((record) => JSON.stringify(record));
    assert.ok(texts.some((text) => text.includes('not in peers')));
    assert.ok(texts.some((text) => text.includes('no CA of client_ca')));
  });

  it('a container that floods the tenant’s listener keeps neither the host nor the tenant out', async (t) => {
    const flood =
      'i=0; while [ $i -lt 100 ]; do sleep 100000 | nc 127.0.0.1 8443 & i=$((i + 1)); done; sleep 3; echo flooding; wait';
    await guest.agent.createContainer(workload('flood', flood, '11'));
    await guest.agent.startContainer({ containerId: 'flood' });
    let open = 0;
    for (let tries = 0; open < 20 && tries < 40; tries += 1) {
      await delay(500);
      open = await connectionsOf('127.0.0.1');
    }
    assert.ok(open >= 20, `${open} connections`);
    const worst = Math.max(...(await host(20)));
    t.diagnostic(`longest of 20 calls of the host during the flood: ${Math.round(worst)} ms`);
    const exec = await ctl(['exec', 'pod', '--', 'echo', 'served']);
    assert.deepEqual(exec, { code: 0, output: 'served\n' });
    await guest.agent.signalProcess({ containerId: 'flood', execId: 'flood', signal: 9 });
    await guest.agent.removeContainer({ containerId: 'flood' });
  });

  it('each attempt is recorded under its listener and peer, and the tenant sees it', async () => {
    const [hosts] = await records('"method":"ExecProcess","decision":{"outcome":"deny"');
    assert.equal(hosts?.['listener'], 'host');
    assert.equal(hosts['peer'], 'cid 1');
    const tenants = (await records('"method":"ExecProcess"')).find(({ listener }) => listener === 'tenant');
    assert.match(String(tenants?.['peer']), /^tls sha256:[0-9a-f]{64} uri:spiffe:/);
    const watch = ['audit', 'watch', '--from', '1', '--format', 'json'];
    const { code, output } = await ctl(watch, alice, /"listener":"tenant"[^\n]*"method":"WatchAudit"/);
    assert.equal(code, 0, output);
    const copy = join(guest.directory, 'copy.log');
    writeFileSync(copy, output);
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { listener?: string });
    assert.ok(lines.some(({ listener }) => listener === 'host'));
    assert.ok(lines.some(({ listener }) => listener === 'tenant'));
  });

  it('the tenant sees what the host may call, and cannot call it', async () => {
    const { output } = await ctl(['describe', '--format', 'json']);
    const described = JSON.parse(output) as { listeners: { name: string; methods: string[] }[] };
    assert.deepEqual(
      described.listeners.map(({ name }) => name),
      ['host', 'tenant', 'realm'],
    );
    const { code, output: removed } = await ctl(['rm', 'pod']);
    assert.notEqual(code, 0);
    assert.match(removed, /RemoveContainer was denied/);
  });

  it('operators run commands through the realm, which the guest has dialled', async (t) => {
    const accepted = await realm?.logged('guest accepted');
    assert.equal(accepted?.['guest'], 'pod');
    const via = ['-a', `realm://localhost:${home.ports.operators}/pod`];
    const options = [...via, '--realm-ca', join(guest.directory, 'realm-ca')];
    writeFileSync(join(guest.directory, 'realm-ca'), home.ca.pem);
    const began = performance.now();
    const exec = await ctl(['exec', 'pod', '--', 'sh', '-c', 'hostname; exit 4'], alice, undefined, options);
    t.diagnostic(`exec through a realm: ${Math.round(performance.now() - began)} ms, with new connections`);
    assert.deepEqual(exec, { code: 4, output: 'pod\n' });
    const [record] = (await records('"method":"ExecProcess"')).filter(({ listener }) => listener === 'realm');
    assert.match(String(record?.['peer']), /^tls sha256:[0-9a-f]{64} uri:spiffe:\S+ via https /);
    const removed = await ctl(['rm', 'pod'], alice, undefined, options);
    assert.match(removed.output, /RemoveContainer was denied/);
    const stranger = await ctl(['describe'], ca.client({ commonNames: ['stranger'] }), undefined, options);
    assert.notEqual(stranger.code, 0);
  });

  it('the realm has the guest’s log, record by record', async () => {
    const id = (await pin()).replace('spki:sha256:', '');
    const stored = (): string =>
      home
        .logs(id)
        .map((path) => readFileSync(path, 'utf8'))
        .join('');
    while (!stored().includes('"listener":"realm","peer":"tls ')) await delay(100);
    assert.ok(stored().startsWith(`{"sequence":1,`));
    const metrics = await realm?.get('/metrics');
    assert.match(metrics?.text ?? '', /kata_realm_guests\{relay="operator-tls"\} 1/);
  });

  it('the pod’s life ends by the host', async () => {
    await guest.agent.signalProcess({ containerId: 'pod', execId: 'pod', signal: 9 });
    await guest.agent.removeContainer({ containerId: 'pod' });
  });
});
