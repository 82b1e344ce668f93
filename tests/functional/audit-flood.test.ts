import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { ctlProgram } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

/** Calls of each kind. An attack made 100,000; the default keeps the tests short. */
const calls = Number(process.env['KATA_AUDIT_FLOOD'] ?? '4000');
const callers = 64;
/** Bytes for calls that run when the first one fails: each has two records. */
const max = 3 * callers * 1024;

interface WrittenRecord {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly count?: number;
  readonly code?: string;
  readonly intent?: number;
  readonly subject?: { readonly containerId?: string };
  readonly result?: { readonly code: string };
}

/** Makes calls of one kind, a number of them concurrently. */
async function flood(call: (index: number) => Promise<unknown>, expected: RegExp): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let index = next++; index < calls; index = next++) {
      const { code, message } = await answerOf(call(index));
      assert.match(code, expected, message);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

describe(`${calls} failing calls of each kind (S36)`, () => {
  let agent: AgentProcess;
  let client: AgentConnection['agent'];

  before(async () => {
    agent = await AgentProcess.start({
      config:
        '[api]\nallowed_endpoints = ["*"]\nblocked_endpoints = ["ReseedRandomDev"]\n[audit]\nmax_size = "1MiB"\nkeep = 1\n',
    });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'mine' });
    // Without root there are no containers: the record has the failure, but the intent precedes it.
    await answerOf(client.createContainer({ containerId: 'mine' }));
    await answerOf(client.execProcess({ containerId: 'mine', execId: 'e' }));
    await answerOf(client.reseedRandomDev({}));
  });
  after(() => agent.dispose());

  function written(names: readonly string[]): WrittenRecord[] {
    return names.flatMap((name) =>
      readFileSync(join(dirname(agent.auditLog), name), 'utf8')
        .trimEnd()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as WrittenRecord),
    );
  }

  /** Returns the segments of the log, oldest first. */
  function chain(): WrittenRecord[] {
    const closed = readdirSync(dirname(agent.auditLog))
      .filter((name) => /^audit\.log\.\d+$/.test(name))
      .sort((a, b) => Number(b.split('.').at(-1)) - Number(a.split('.').at(-1)));
    return written([...closed, 'audit.log']);
  }

  /** Includes records that outlived their segment. */
  function records(): WrittenRecord[] {
    const kept = readdirSync(dirname(agent.auditLog)).filter((name) => name === 'audit.log.kept');
    return [...written(kept), ...chain()];
  }

  function size(): number {
    const directory = dirname(agent.auditLog);
    // A rotation can remove a file meanwhile.
    const sizes = readdirSync(directory).map(
      (name) => statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0,
    );
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  it('of unknown containers add almost no records', async () => {
    const before = size();
    await flood(
      (n) => client.signalProcess({ containerId: `no-${n}`, execId: '', signal: 9 }),
      /INVALID_ARGUMENT/,
    );
    await flood((n) => client.pauseContainer({ containerId: `no-${n}` }), /INVALID_ARGUMENT/);
    await flood((n) => client.statsContainer({ containerId: `no-${n}` }), /INVALID_ARGUMENT/);
    assert.ok(size() - before < max, `${size() - before} bytes`);
    const named = records().filter(({ method }) => method === 'SignalProcess');
    assert.ok(named.length < 3 * callers, `${named.length} records`);
  });

  it('of CreateContainer with new IDs, and denied ones, add almost no records either', async () => {
    const before = size();
    await flood((n) => client.createContainer({ containerId: `flood-${n}` }), /INVALID_ARGUMENT/);
    await flood(() => client.reseedRandomDev({}), /UNIMPLEMENTED/);
    assert.ok(size() - before < max, `${size() - before} bytes`);
  });

  it('that change something rotate the log and displace only each other', async () => {
    const copy = { fileSize: 1n, fileMode: 0o100644, data: Buffer.from('x') };
    await flood((n) => {
      return client.copyFile({ ...copy, path: `/run/kata-containers/shared/containers/f${n % 3}` });
    }, /OK/);
    assert.ok(readdirSync(dirname(agent.auditLog)).includes('audit.log.kept'), 'the log was rotated');
  });

  it('leave boot, sandbox, create, exec and denial in a log that verifies, with the counts of the rest', async () => {
    await agent.stop();
    const args = [ctlProgram, 'audit', 'verify', agent.auditLog];
    const verified = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    const all = records();
    assert.equal(all[0]?.kind, 'boot');
    const sandbox = all.find(({ kind, method }) => kind === 'intent' && method === 'CreateSandbox');
    assert.ok(all.some(({ intent }) => intent === sandbox?.sequence && intent !== undefined));
    for (const method of ['CreateContainer', 'ExecProcess']) {
      const first = all.find((record) => record.method === method);
      assert.equal(first?.subject?.containerId, 'mine', method);
    }
    assert.ok(all.some(({ kind, method }) => kind === 'refusal' && method === 'ReseedRandomDev'));
    // The count of folded calls follows within seconds: before or after the rotation.
    const failed = chain().filter(({ method }) => method === 'SignalProcess');
    const present = failed.reduce((sum, { kind, count }) => {
      return sum + (kind === 'call' ? 1 : kind === 'fold' ? (count ?? 0) : 0);
    }, 0);
    const rotated = all.findLast(({ kind }) => kind === 'rotated') as unknown as {
      readonly removed: { readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>> };
    };
    const gone = rotated.removed.counts['SignalProcess']?.['INVALID_ARGUMENT'] ?? 0;
    assert.equal(gone + present, calls);
  });
});
