import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall, AuditLog, CallResult } from '../audit-log.js';
import { type AuditLogOptions, openAuditLog } from '../open-audit-log.js';
import { readLog } from '../read/follow.js';
import type { AuditRecord } from '../record/record.js';
import { FakeClock } from './fake-clock.js';

export const allowed: Decision = {
  outcome: 'allow',
  method: 'ExecProcess',
  listener: 'host',
  reason: 'in allowed_endpoints (config.toml:14)',
};

export const denied: Decision = {
  outcome: 'deny',
  code: 'KA3001',
  method: 'ExecProcess',
  listener: 'host',
  reason: 'not in allowed_endpoints (config.toml:14)',
};

export const ok: CallResult = { code: 'OK', durationUs: 120 };

export function sampleCall(more: Partial<AuditedCall> = {}): AuditedCall {
  return { listener: 'host', peer: 'cid 2', method: 'ExecProcess', payload: Buffer.from('request'), ...more };
}

/** Creates a directory that is removed after the test; what still writes there is ended before by `end`. */
export function temporaryDirectory(
  t: TestContext,
  end: () => Promise<void> | undefined = () => undefined,
): string {
  const directory = mkdtempSync(join(tmpdir(), 'kata-audit-'));
  t.after(async () => {
    // Errors at the end are ignored: a test may have made the disk fail.
    await end()?.then(undefined, () => undefined);
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  });
  return directory;
}

export interface Opened {
  readonly log: AuditLog;
  readonly file: string;
  readonly clock: FakeClock;
}

/** Opens a log in its own directory with a fake clock. It is closed after the test. */
export async function openSample(t: TestContext, options: Partial<AuditLogOptions> = {}): Promise<Opened> {
  const clock = new FakeClock();
  let opened: AuditLog | undefined;
  const close = (): Promise<void> | undefined => opened?.close();
  const file = options.file ?? join(temporaryDirectory(t, close), 'audit.log');
  const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 4, bootId: 'boot-1', clock, ...options });
  opened = log;
  if (options.file !== undefined) t.after(() => log.close().then(undefined, () => undefined));
  return { log, file, clock };
}

/** Returns all records of a log, the kept ones first. Fails on a line that is not a record. */
export async function recordsIn(file: string): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for await (const read of readLog(file)) {
    assert.ok(read.ok);
    records.push(read.record);
  }
  return records;
}

/** Returns the records of one segment. */
export function recordsOf(path: string): AuditRecord[] {
  const lines = readFileSync(path, 'latin1').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditRecord);
}

export function only<K extends AuditRecord['kind']>(
  records: readonly AuditRecord[],
  kind: K,
): Extract<AuditRecord, { readonly kind: K }>[] {
  return records.filter(
    (record): record is Extract<AuditRecord, { readonly kind: K }> => record.kind === kind,
  );
}

/** Returns the first of a list, which must not be empty. */
export function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('there is none');
  return item;
}

/** Waits for work in libuv's threads. Fails the test when the condition does not become true. */
export async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 10_000; attempt += 1) {
    if (condition()) return;
    await sleep(1);
  }
  throw new Error('the expected condition did not become true');
}
