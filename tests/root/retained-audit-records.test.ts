import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { ctlProgram } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

interface AuditRecord {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly intent?: number;
  readonly count?: number;
  readonly subject?: { readonly containerId?: string };
}

describe('audit records of existing containers and execs (S36)', {
  skip: whyNoContainers() ?? false,
}, () => {
  const hostile = `hostile-${process.pid}`;
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-record-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({
      config: '[api]\nallowed_endpoints = ["*"]\n[audit]\nmax_size = "128KiB"\nkeep = 1\n',
    });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  function request(id: string): CreateContainerRequest {
    return create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args: ['sleep', '100'] }));
  }

  /** Creates and removes 24 containers. Every second record has maximum size: the source of a tmpfs can be any string. */
  async function createPadded(from: number): Promise<void> {
    for (let number = from; number < from + 24; number += 1) {
      const containerId = `pad${number}-${process.pid}`;
      const padded = request(containerId);
      const mounts = number % 2 === 0 ? 32 : 0;
      for (let index = 0; index < mounts; index += 1) {
        const mount = { type: 'tmpfs', source: '€'.repeat(512), destination: `/tmp/${index}` };
        padded.OCI?.Mounts.push(create(MountSchema, mount));
      }
      await client.createContainer(padded);
      await client.removeContainer({ containerId });
    }
  }

  async function flood(count: number, call: (index: number) => Promise<unknown>): Promise<void> {
    for (let begin = 0; begin < count; begin += 100)
      await Promise.all(Array.from({ length: 100 }, (_, index) => call(begin + index)));
  }

  /** Returns all complete records. During a rotation a file or a record can be missing: the caller retries. */
  function readRecords(): AuditRecord[] {
    const log = dirname(agent.auditLog);
    const names = readdirSync(log).filter((name) => !/\.(?:next|checkpoint)$/.test(name));
    return names.flatMap((name) =>
      readIfExists(join(log, name))
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as AuditRecord),
    );
  }

  function logSize(): number {
    const log = dirname(agent.auditLog);
    const sizes = readdirSync(log).map(
      (name) => statSync(join(log, name), { throwIfNoEntry: false })?.size ?? 0,
    );
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  function isRecorded(method: string): boolean {
    const records = readRecords();
    const intent = records.find(
      ({ kind, method: own, subject }) =>
        kind === 'intent' && own === method && subject?.containerId === hostile,
    );
    return intent !== undefined && records.some((record) => record.intent === intent.sequence);
  }

  /** Checks that the intent and the outcome of the method's call for the container are present. */
  async function assertRecorded(method: string): Promise<void> {
    for (let attempt = 0; attempt < 20 && !isRecorded(method); attempt += 1) await delay(100);
    assert.ok(isRecorded(method), `intent and outcome of ${method}`);
  }

  it('padded CreateContainer calls do not evict the records of an existing container', async () => {
    await createPadded(0);
    await client.createContainer(request(hostile));
    await client.startContainer({ containerId: hostile });
    await client.execProcess({
      containerId: hostile,
      execId: 'evil',
      process: processRequest(['sleep', '100']),
    });
    await createPadded(24);
    for (const method of ['CreateContainer', 'ExecProcess']) await assertRecorded(method);
  });

  it('signals without effect and repeated signals are counted in few records', async () => {
    const before = logSize();
    await flood(2000, () => client.signalProcess({ containerId: hostile, execId: '', signal: 0 }));
    // SIGCONT
    await flood(2000, () => client.signalProcess({ containerId: hostile, execId: 'evil', signal: 18 }));
    // Calls that start before the first one has ended have two records each.
    assert.ok(logSize() - before < 150 * 1024, `${logSize() - before} bytes`);
    const signals = readRecords().filter(({ method }) => method === 'SignalProcess');
    assert.ok(signals.length <= 250, `${signals.length} records`);
  });

  it('calls that change files do not evict the records of an existing container', async () => {
    const copy = { fileSize: 1n, fileMode: 0o100644, data: Buffer.from('x') };
    await flood(4000, (n) => {
      return client.copyFile({ ...copy, path: `/run/kata-containers/shared/containers/f${n % 3}` });
    });
    await createPadded(48);
    await flood(1000, (n) => {
      return client.copyFile({ ...copy, path: `/run/kata-containers/shared/containers/f${n % 3}` });
    });
    assert.ok(readdirSync(dirname(agent.auditLog)).includes('audit.log.kept'), 'the log was rotated');
    await agent.stop();
    for (const method of ['CreateContainer', 'ExecProcess']) await assertRecorded(method);
    const args = [ctlProgram, 'audit', 'verify', agent.auditLog];
    const verified = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });
});

/** Returns an empty string if the file disappeared meanwhile. */
function readIfExists(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
