import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { whyNoContainers } from '../harness/rootfs.js';

const shared = '/run/kata-containers/shared/containers';

interface AuditRecord {
  readonly sequence: number;
  readonly kind: string;
  readonly method?: string;
  readonly intent?: number;
  readonly count?: number;
  readonly bytes?: number;
  readonly request?: { readonly file?: Readonly<Record<string, string>> };
}

describe('files that the host copies leave a trace in the audit log (S18, S36)', {
  skip: whyNoContainers() ?? false,
}, () => {
  let agent: AgentProcess;
  afterEach(() => agent.dispose());

  async function start(audit = ''): Promise<AgentConnection['agent']> {
    agent = await AgentProcess.start({ config: `[api]\nallowed_endpoints = ["*"]\n[audit]\n${audit}` });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  }

  /** Returns the records of CopyFile in all files of the log, once it ends. */
  async function recordsAtEnd(): Promise<readonly AuditRecord[]> {
    agent.process.kill('SIGTERM');
    await agent.exited;
    const log = dirname(agent.auditLog);
    const names = readdirSync(log).filter((name) => !/\.(?:next|checkpoint)$/.test(name));
    return names.flatMap((name) =>
      readFileSync(join(log, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as AuditRecord),
    );
  }

  it('path, mode, size and owner of a file, a directory and a link are recorded by default, and no content', async () => {
    const client = await start();
    const common = { uid: 7, gid: 8, dirMode: 0o755 };
    await client.copyFile({ ...common, path: `${shared}/v`, fileMode: 0o040755 });
    await client.copyFile({
      ...common,
      path: `${shared}/v/key`,
      fileMode: 0o104755,
      fileSize: 6n,
      data: Buffer.from('secret'),
    });
    await client.copyFile({
      ...common,
      path: `${shared}/v/link`,
      fileMode: 0o120777,
      data: Buffer.from('target'),
    });
    const records = await recordsAtEnd();
    const intents = records.filter(({ kind, method }) => kind === 'intent' && method === 'CopyFile');
    assert.deepEqual(
      intents.map(({ request }) => request?.file),
      [
        { path: `${shared}/v`, mode: '40755', size: '0', owner: '7:8' },
        { path: `${shared}/v/key`, mode: '104755', size: '6', owner: '7:8' },
        { path: `${shared}/v/link`, mode: '120777', size: '0', owner: '7:8' },
      ],
    );
    assert.doesNotMatch(JSON.stringify(records), /secret|target/);
  });

  it('the pieces of a file are counted; a piece with another mode, and a file that is written again, are not', async () => {
    const client = await start();
    const path = `${shared}/large`;
    const piece = (offset: number, fileMode = 0o100600): Promise<unknown> =>
      client.copyFile({ path, fileMode, fileSize: 1_000n, offset: BigInt(offset), data: Buffer.alloc(10) });
    for (let offset = 0; offset < 990; offset += 10) await piece(offset);
    await piece(990, 0o104777);
    for (let offset = 0; offset < 1_000; offset += 10) await piece(offset);
    const records = (await recordsAtEnd()).filter(({ method }) => method === 'CopyFile');
    const intents = records.filter(({ kind }) => kind === 'intent');
    assert.deepEqual(
      intents.map(({ request }) => [request?.file?.['mode'], request?.file?.['offset']]),
      [
        ['100600', undefined],
        ['104777', '990'],
        ['100600', undefined],
      ],
    );
    const folds = records.filter(({ kind }) => kind === 'fold');
    assert.equal(
      folds.reduce((sum, { count = 0 }) => sum + count, 0),
      98 + 99,
    );
    for (const { request } of folds) assert.equal(request?.file?.['path'], path);
    assert.equal(
      folds.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
      (98 + 99) * 10,
    );
  });

  it('2,500 files push out neither the sandbox nor the file before them', async () => {
    const client = await start('max_size = "128KiB"\nkeep = 1\n');
    const copy = (path: string): Promise<unknown> =>
      client.copyFile({ path, fileMode: 0o100644, fileSize: 1n, data: Buffer.from('x') });
    await copy(`${shared}/config/hosts`);
    for (let begin = 0; begin < 2_500; begin += 100)
      await Promise.all(Array.from({ length: 100 }, (_, index) => copy(`${shared}/flood/f${begin + index}`)));
    const records = await recordsAtEnd();
    assert.ok(readdirSync(dirname(agent.auditLog)).includes('audit.log.kept'), 'the log was rotated');
    assert.ok(records.some(({ kind }) => kind === 'boot'));
    assert.ok(records.some(({ kind, method }) => kind === 'intent' && method === 'CreateSandbox'));
    const trace = records.find(({ request }) => request?.file?.['path'] === `${shared}/config/hosts`);
    assert.ok(trace !== undefined, 'the file before');
    assert.ok(
      records.some(({ intent }) => intent === trace.sequence),
      'and its outcome',
    );
    assert.ok(records.length < 1_500, `${records.length} records`);
  });
});
