import { openAuditLog } from '@kata-agent/audit';
import { Code } from '@kata-agent/ttrpc';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Caller } from '../listeners/caller.js';
import { Connections } from '../listeners/connections.js';
import { PassThrough } from 'node:stream';
import { watchAudit } from './watch-audit.js';
import { maxWatchers, Watchers } from './watchers.js';

const caller: Caller = { listener: 'tenant', peer: 'pid 1 uid 0', identity: { kind: 'unix', uid: 0 } };

function openFiles(directory: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(directory)).length;
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
  const before = openFiles(directory);
  return { log, stream, connections, logged, context, call, held: () => openFiles(directory) - before };
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
