import { openAuditLog } from '@kata-agent/audit';
import { Code } from '@kata-agent/ttrpc';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Caller } from '../caller.js';
import { Connections } from '../listeners/connections.js';
import { PassThrough } from 'node:stream';
import { watchAudit } from './watch-audit.js';
import { maxWatchers, Watchers } from './call-limits.js';

const caller: Caller = { listener: 'tenant', peer: 'pid 1 uid 0', identity: { kind: 'unix', uid: 0 } };

/** Returns the paths of open files; those of removed ones end in " (deleted)". */
function openFiles(directory: string): readonly string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(directory));
}

/** A log with its boot record, a connection, and what watchers need. */
async function setUp(t: TestContext, maxSize: number) {
  const directory = mkdtempSync(join(tmpdir(), 'kata-watch-'));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize, keep: 1, bootId: 'b' });
  t.after(async () => {
    await log.close();
    rmSync(directory, { recursive: true });
  });
  await log.boot({});
  const connections = new Connections();
  const stream = new PassThrough();
  connections.add(caller, stream);
  const logged: string[] = [];
  const context = {
    configuration: { audit: { file } } as Parameters<typeof watchAudit>[0]['configuration'],
    connections,
    watchers: new Watchers(),
    log: (_level: unknown, message: string) => void logged.push(message),
    ending: new AbortController().signal,
  };
  const call = { connection: caller, signal: new AbortController().signal };
  const before = openFiles(directory).length;
  const held = (): number => openFiles(directory).length - before;
  const removed = (): number => openFiles(directory).filter((target) => target.endsWith(' (deleted)')).length;
  const fill = async (): Promise<void> => {
    await Promise.all(Array.from({ length: 20 }, () => log.boot({ text: 'x'.repeat(60_000) })));
  };
  return { file, log, stream, connections, logged, context, call, held, removed, fill };
}

test('a watcher that accepts no records loses its connection, and holds no segment open', async (t) => {
  const { stream, connections, logged, context, call, held } = await setUp(t, 1 << 20);
  const records = watchAudit(context, { from: 1n }, call, 20);
  assert.equal((await records.next()).value?.records?.length, 1);
  assert.equal(held(), 1);
  while (!stream.destroyed) await delay(5);
  while (held() > 0) await delay(5);
  assert.match(logged.join(), /accepts no records/);
  assert.equal((await records.next()).done, true);
  assert.equal(connections.count('tenant'), 0);
});

test('a newer watcher of a connection ends the older one, also where that accepts nothing', async (t) => {
  const { context, call, held } = await setUp(t, 1 << 20);
  const older = watchAudit(context, { from: 1n }, call);
  await older.next();
  const newer = watchAudit(context, { from: 1n }, call);
  await newer.next();
  while (held() > 1) await delay(5);
  await assert.rejects(older.next(), { code: Code.Aborted, message: /a newer WatchAudit call/ });
  const waiting = assert.rejects(newer.next(), { code: Code.Aborted });
  const newest = watchAudit(context, { from: 1n }, call);
  await newest.next();
  await waiting;
  await newest.return();
  assert.equal(held(), 0);
  const others = Array.from({ length: maxWatchers }, () =>
    watchAudit(context, { from: 1n }, { ...call, connection: { ...caller } }),
  );
  for (const watcher of others) await watcher.next();
  await assert.rejects(watchAudit(context, {}, call).next(), { code: Code.ResourceExhausted });
  for (const watcher of others) await watcher.return();
});

test('a slow watcher loses its connection when its segments were removed, and holds none open', {
  timeout: 30_000,
}, async (t) => {
  const { fill, stream, logged, context, call, removed } = await setUp(t, 1 << 20);
  await fill();
  const patience = 1000;
  const records = watchAudit(context, { from: 1n }, call, patience);
  await records.next();
  for (let n = 0; n < 5; n += 1) await fill();
  assert.equal(removed(), 2);
  while (!stream.destroyed && (await records.next()).done !== true) await delay(patience / 10);
  assert.match(logged.join(), /is too slow: it reads segments that rotation has removed/);
  await records.return();
  assert.equal(removed(), 0);
});

test('a watcher that reads removed segments in time keeps its connection', async (t) => {
  const { fill, file, log, stream, context, call } = await setUp(t, 1 << 20);
  await fill();
  const patience = 2000;
  const records = watchAudit(context, { from: 1n }, call, patience);
  await records.next();
  for (let n = 0; n < 5; n += 1) await fill();
  let last = '';
  await log.boot({ text: 'the end' });
  while (!last.includes('the end'))
    last = Buffer.from((await records.next()).value?.records?.at(-1) ?? '').toString();
  const waiting = records.next();
  // What is at its end holds nothing that the writer does not hold too.
  rmSync(file);
  await delay(patience + 500);
  assert.equal(stream.destroyed, false);
  await log.boot({});
  assert.equal((await waiting).done, false);
  await records.return();
});
