import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { Management } from '@kata-agent/protocol/management';
import { type Client, createClient } from '@kata-agent/ttrpc';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { ctlProgram } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

const config = `[api]
allowed_endpoints = ["*"]
release = "4.1"

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["*"]

[[listener]]
name = "tenant"
address = "vsock://-1:1025"
allowed_endpoints = ["GetGuestDetails"]
management = ["Describe", "WatchAudit", "GetCheckpoint"]

[[listener]]
name = "monitor"
address = "vsock://-1:1026"
allowed_endpoints = []
management = ["Describe"]
`;

/** The audit record of a line. */
interface Line {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly listener?: string;
}

describe('the management service (R14)', () => {
  let agent: AgentProcess;
  let host: AgentConnection;
  let tenant: Client<typeof Management>;
  let monitor: Client<typeof Management>;
  let onHost: Client<typeof Management>;

  before(async () => {
    agent = await AgentProcess.start({ config });
    host = await agent.connect();
    onHost = createClient(Management, host.channel);
    tenant = createClient(Management, (await agent.connect({ port: 1025 })).channel);
    monitor = createClient(Management, (await agent.connect({ port: 1026 })).channel);
  });
  after(() => agent.dispose());

  /** Collects records until one fits. */
  async function watchUntil(
    client: Client<typeof Management>,
    from: bigint | undefined,
    fits: (line: Line) => boolean,
  ): Promise<readonly Line[]> {
    const seen: Line[] = [];
    for await (const { records } of client.watchAudit(from === undefined ? {} : { from })) {
      for (const record of records) {
        const line = JSON.parse(Buffer.from(record).toString()) as Line;
        seen.push(line);
        if (fits(line)) return seen;
      }
    }
    throw new Error('the stream ended');
  }

  it('is served where management names the method, and is in no "*"', async () => {
    for (const call of [onHost.describe({}), watchUntil(onHost, 1n, () => true)]) {
      const denied = await answerOf(call);
      assert.equal(denied.code, 'UNIMPLEMENTED');
      assert.match(denied.message, /not in management of the listener "host"/);
    }
    assert.equal(
      (await answerOf(watchUntil(monitor, 1n, () => true))).code,
      'UNIMPLEMENTED',
      'a listener with Describe alone',
    );
    const denied = () => agent.records().filter(({ kind }) => kind === 'refusal');
    // Records of refusals follow within milliseconds.
    while (denied().length < 3) await delay(5);
    assert.deepEqual(
      denied().map(({ listener, method, decision }) => [
        listener,
        method,
        (decision as { code: string }).code,
      ]),
      [
        ['host', 'Describe', 'KA3007'],
        ['host', 'WatchAudit', 'KA3007'],
        ['monitor', 'WatchAudit', 'KA3007'],
      ],
    );
  });

  it('Describe has the configuration, and other listeners only for those who may read their records', async () => {
    const all = await tenant.describe({});
    assert.match(all.configurationDigest, /^[0-9a-f]{64}$/);
    assert.equal(all.documents.length, 1);
    assert.equal(all.documents[0]?.source, '-c');
    assert.equal(all.auditWritable, true);
    assert.equal(all.containers, 0);
    assert.deepEqual(
      all.listeners.map(({ name, methods, management, connections }) => [
        name,
        methods.length,
        management,
        connections,
      ]),
      [
        ['host', 42, [], 1],
        ['tenant', 1, ['Describe', 'WatchAudit', 'GetCheckpoint'], 1],
        ['monitor', 0, ['Describe'], 1],
      ],
    );
    const own = await monitor.describe({});
    assert.deepEqual(
      own.listeners.map(({ name }) => name),
      ['monitor'],
    );
  });

  it('WatchAudit has every record from the first on, and those that come', async () => {
    const watched = watchUntil(tenant, 1n, ({ method }) => method === 'ReseedRandomDev');
    await delay(300);
    await answerOf(host.agent.reseedRandomDev({ data: new Uint8Array(64) }));
    const lines = await watched;
    assert.equal(lines[0]?.kind, 'boot');
    assert.deepEqual(
      lines.map(({ sequence }) => sequence),
      lines.map((_, index) => index + 1),
    );
    const own = lines.find(({ kind, method }) => kind === 'intent' && method === 'WatchAudit');
    assert.equal(own?.listener, 'tenant', 'the watcher itself is recorded before it ends');
  });

  it('a watcher resumes after its last record', async () => {
    const before = await watchUntil(tenant, 1n, ({ kind }) => kind === 'boot');
    const last = before.at(-1)?.sequence ?? 0;
    const lines = await watchUntil(tenant, BigInt(last + 1), ({ method }) => method === 'WatchAudit');
    assert.equal(lines[0]?.sequence, last + 1);
    assert.equal((await answerOf(watchUntil(tenant, 2n ** 63n, () => true))).code, 'OUT_OF_RANGE');
  });
});

/** Runs `kata-agent-ctl` until it ends, or until its output has `until`; then interrupts it. */
async function ctl(
  args: readonly string[],
  until?: RegExp,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [ctlProgram, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (until?.test(stdout) === true) child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('kata-agent-ctl and the management service', () => {
  let agent: AgentProcess;
  let address = '';
  before(async () => {
    agent = await AgentProcess.start({ config });
    address = `unix://${join(agent.directory, '1025.sock')}`;
  });
  after(() => agent.dispose());

  it('describe prints the listeners', async () => {
    const { code, stdout } = await ctl(['describe', '-a', address]);
    assert.equal(code, 0);
    assert.match(stdout, /^configuration +[0-9a-f]{64}$/m);
    assert.match(
      stdout,
      /^listener monitor at unix:.*, 0 connections\n {2}methods: none\n {2}management: Describe$/m,
    );
  });

  it('audit watch copies a log that verifies, and prints what comes', async () => {
    const json = ['audit', 'watch', '-a', address, '--from', '1', '--format', 'json'];
    const { code, stdout } = await ctl(json, /"method":"WatchAudit"/);
    assert.equal(code, 0);
    const copy = join(agent.directory, 'copy.log');
    writeFileSync(copy, stdout);
    assert.equal((await ctl(['audit', 'verify', copy])).code, 0);
    const { agent: host } = await agent.connect();
    const watching = ctl(['audit', 'watch', '-a', address, '--method', 'GetMetrics'], /GetMetrics/);
    const calls = setInterval(() => void host.getMetrics({}), 50);
    assert.match((await watching).stdout, /GetMetrics/);
    clearInterval(calls);
  });

  it('audit checkpoint signs what audit watch copies: a copy is verified and proved by it, and a changed one is not', async () => {
    const at = (name: string): string => join(agent.directory, name);
    // A record besides that of the boot.
    assert.equal((await ctl(['describe', '-a', address])).code, 0);
    const checkpoint = await ctl(['audit', 'checkpoint', '-a', address]);
    assert.equal(checkpoint.code, 0, checkpoint.stderr);
    writeFileSync(at('checkpoint'), checkpoint.stdout);
    const [origin = '', size = ''] = checkpoint.stdout.split('\n');
    assert.match(origin, /^kata-agent\/[0-9a-f]{64}$/);
    const watch = ['audit', 'watch', '-a', address, '--from', '1', '--format', 'json'];
    const { stdout } = await ctl(watch, new RegExp(`"sequence":${size},`));
    const lines = stdout.trimEnd().split('\n');
    writeFileSync(at('copy.log'), stdout);
    const { logKey = '' } = JSON.parse(lines[0] ?? '') as { readonly logKey?: string };
    const verify = (...more: string[]): ReturnType<typeof ctl> =>
      ctl(['audit', 'verify', at('copy.log'), '--checkpoint', at('checkpoint'), ...more]);
    const verified = await verify('--key', logKey);
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(
      verified.stdout,
      new RegExp(`checkpoint of ${origin}: ${size} records.*: pinned by the caller`),
    );
    const alone = await verify();
    assert.equal(alone.code, 4);
    assert.match(alone.stdout, /self-signed only: the writer of the log could have made it/);

    const proof = await ctl(['audit', 'prove', '1', at('copy.log'), '--checkpoint', at('checkpoint')]);
    assert.equal(proof.code, 0, proof.stderr);
    writeFileSync(at('proof'), proof.stdout);
    writeFileSync(at('record'), `${lines[0]}\n`);
    const proved = ['audit', 'verify-proof', at('proof'), at('record'), '--key', logKey];
    assert.match(
      (await ctl(proved)).stdout,
      new RegExp(`^ok: record 1 of ${size} of ${origin}: pinned by the caller`),
    );
    writeFileSync(at('record'), `${lines[1]}\n`);
    const other = await ctl(proved);
    assert.equal(other.code, 4);
    assert.match(other.stderr, /not proved: inclusion proof/);

    writeFileSync(
      at('copy.log'),
      lines
        .slice(0, Number(size) - 1)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const cut = await verify('--key', logKey);
    assert.equal(cut.code, 4);
    assert.match(cut.stdout, /truncated: the checkpoint has/);
  });

  it('audit watch reports that the first records it asked for are missing', async () => {
    const small = await AgentProcess.start({ config: `${config}\n[audit]\nmax_size = "64KiB"\nkeep = 1\n` });
    const { agent: host } = await small.connect();
    const isRotated = (): boolean => existsSync(`${small.auditLog}.kept`);
    for (let n = 0; !isRotated(); n += 1) await host.reseedRandomDev({ data: Buffer.from(`${n}`) });
    const watch = [
      'audit',
      'watch',
      '-a',
      `unix://${join(small.directory, '1025.sock')}`,
      '--format',
      'json',
    ];
    const { code, stderr } = await ctl([...watch, '--from', '2'], /WatchAudit/);
    await small.dispose();
    assert.match(stderr, /records 2 to \d+ are missing; rotation removed them, or they were withheld/);
    assert.equal(code, 4);
  });

  it('a listener without it says so', async () => {
    const { code, stderr } = await ctl(['describe', '-a', `unix://${agent.socketPath}`]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /does not serve it on this listener.*\n.*not in management.*\n.*name it in management/,
    );
  });
});

describe('a watcher of the audit log when the agent ends', () => {
  it('gets the end of its stream, and delays nothing', async () => {
    const agent = await AgentProcess.start({ config });
    const { channel } = await agent.connect({ port: 1025 });
    const watching = createClient(Management, channel).watchAudit({ from: 1n });
    await watching[Symbol.asyncIterator]().next();
    agent.process.kill('SIGTERM');
    for await (const { records } of watching) assert.ok(records.length > 0);
    assert.equal(await agent.exited, 0);
    await agent.dispose();
  });
});
