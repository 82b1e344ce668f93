import { openAuditLog } from '@kata-agent/audit';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Caller } from '../listeners/caller.js';
import { Connections } from '../listeners/connections.js';
import { PassThrough } from 'node:stream';
import { watchAudit } from './watch-audit.js';

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

test('a watcher that accepts no records loses its connection, and holds no segment open', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-watch-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 1, bootId: 'b' });
  await log.boot({});
  const connections = new Connections();
  const stream = new PassThrough();
  connections.add(caller, stream);
  const logged: string[] = [];
  const before = openFiles(directory);
  const context = {
    configuration: { audit: { file } } as Parameters<typeof watchAudit>[0]['configuration'],
    connections,
    log: (_level: unknown, message: string) => void logged.push(message),
    ending: new AbortController().signal,
  };
  const signal = new AbortController().signal;
  const records = watchAudit(context, { from: 1n }, { connection: caller, signal }, 20);
  assert.equal((await records.next()).value?.records?.length, 1);
  assert.equal(openFiles(directory), before + 1);
  while (!stream.destroyed) await delay(5);
  while (openFiles(directory) > before) await delay(5);
  assert.match(logged.join(), /accepts no records/);
  assert.equal((await records.next()).done, true);
  assert.equal(connections.count('tenant'), 0);
  await log.close();
});
