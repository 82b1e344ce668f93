import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { AuditUnavailable } from '../audit-log.js';
import { FaultyFiles, type Operation } from '../testing/faulty-files.js';
import {
  allowed,
  denied,
  first,
  ok,
  only,
  openSample,
  recordsOf,
  sampleCall,
  until,
} from '../testing/sample.js';
import { verify } from '../read/verify.js';

const call = sampleCall();

for (const [operation, code] of [
  ['write', 'ENOSPC'],
  ['write', 'EIO'],
  ['datasync', 'EIO'],
  ['datasync', 'ENOSPC'],
] as const) {
  test(`an intent is rejected when ${operation} fails with ${code}, and the next one succeeds`, async (t) => {
    const files = new FaultyFiles();
    const { log, file } = await openSample(t, { files });
    await log.boot({});
    files.fail = (what) => (what === operation ? code : undefined);
    files.partialBytes = 100;
    await assert.rejects(log.intent(call, allowed), (error) => {
      assert.ok(error instanceof AuditUnavailable);
      assert.match(error.message, new RegExp(`audit\\.log: ${code}.*; (free space|make it)`));
      assert.equal((error.cause as NodeJS.ErrnoException).code, code);
      return true;
    });
    assert.equal(log.writable, false);
    assert.ok(log.failure instanceof AuditUnavailable);
    assert.ok(statSync(file).size > 0);

    files.fail = () => undefined;
    assert.equal(await log.intent(call, allowed), 3);
    assert.equal(log.writable, true);
    assert.equal(log.failure, undefined);
    await log.close();
    const records = recordsOf(file);
    assert.deepEqual(
      records.map(({ kind }) => kind),
      ['boot', 'lost', 'intent'],
    );
    assert.equal(first(only(records, 'lost')).count, 1);
    assert.match(first(only(records, 'lost')).failure, new RegExp(code));
    assert.equal((await verify(file)).ok, true);
  });
}

test('a failed write that cannot be truncated keeps the log unwritable until it can', async (t) => {
  const files = new FaultyFiles();
  const { log, file } = await openSample(t, { files });
  files.partialBytes = 40;
  files.fail = (what) => (what === 'write' ? 'EIO' : undefined);
  await assert.rejects(log.intent(call, allowed));
  files.fail = (what) => (what === 'truncate' ? 'EROFS' : undefined);
  await assert.rejects(log.intent(call, allowed), /EROFS/);
  assert.equal(statSync(file).size, 40);
  files.fail = () => undefined;
  await log.intent(call, allowed);
  await log.close();
  const records = recordsOf(file);
  assert.equal(first(only(records, 'lost')).count, 2);
  assert.equal((await verify(file)).ok, true);
});

test('records without a waiter never throw: they are counted, and a retry per second reports the loss', async (t) => {
  const files = new FaultyFiles();
  const { log, file, clock } = await openSample(t, { files });
  await log.boot({});
  files.fail = (what) => (what === 'write' ? 'ENOSPC' : undefined);
  log.observe(call, allowed, ok);
  log.outcome(7, call, ok);
  log.refuse(call, denied);
  clock.pass(2);
  await until(() => !log.writable);
  files.fail = () => undefined;
  // One timer folds denials, the other retries.
  await until(() => clock.timers === 2);
  clock.pass(999);
  assert.equal(clock.timers, 2);
  clock.pass(1);
  await until(() => log.writable);
  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['boot', 'lost'],
  );
  assert.equal(first(only(records, 'lost')).count, 3);
});

test('after a failure with nothing to write, the log detects recovery by itself', async (t) => {
  const files = new FaultyFiles();
  const { log, clock } = await openSample(t, { files });
  files.fail = (what) => (what === 'datasync' ? 'EIO' : undefined);
  await assert.rejects(log.flush(), AuditUnavailable);
  assert.equal(log.writable, false);
  await until(() => clock.timers === 1);
  clock.pass(1000);
  await until(() => files.count('datasync') === 2 && clock.timers === 1);
  assert.equal(log.writable, false);
  files.fail = () => undefined;
  clock.pass(1000);
  await until(() => log.writable);
  await log.flush();
  assert.equal(clock.timers, 0);
});

test('records added during a failure are kept and written with later ones', async (t) => {
  const files = new FaultyFiles();
  const { log, file, clock } = await openSample(t, { files });
  files.fail = (what) => (what === 'write' ? 'ENOSPC' : undefined);
  await assert.rejects(log.intent(call, allowed));
  log.observe(sampleCall({ method: 'kept' }), allowed, ok);
  files.fail = () => undefined;
  clock.pass(1000);
  await until(() => log.writable);
  const records = recordsOf(file);
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['lost', 'call'],
  );
});

test('the queue is bounded: records beyond it are counted as lost, except outcomes', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1 << 26 });
  for (let n = 0; n < 20_000; n += 1) log.observe(call, allowed, ok);
  log.outcome(1, call, ok);
  await log.flush();
  await log.close();
  const records = recordsOf(file);
  assert.equal(only(records, 'call').length, 16_384);
  assert.equal(only(records, 'outcome').length, 1);
  assert.equal(first(only(records, 'lost')).count, 20_000 - 16_384);
  assert.match(first(only(records, 'lost')).failure, /faster than they could be written/);
});

test('close reports records that could not be written, and closes all the same', async (t) => {
  const files = new FaultyFiles();
  const { log } = await openSample(t, { files });
  log.observe(call, allowed, ok);
  files.fail = (what) => (what === 'write' ? 'EIO' : undefined);
  await assert.rejects(log.close(), AuditUnavailable);
  assert.equal(log.writable, false);
});

test('under any failure, acknowledged records exist and the chain is intact', async (t) => {
  const operations: readonly Operation[] = [
    'write',
    'datasync',
    'truncate',
    'rename',
    'unlink',
    'append',
    'syncDirectory',
  ];
  const fault = fc.record({ operation: fc.constantFrom(...operations), at: fc.nat(25), bytes: fc.nat(600) });
  const property = fc.asyncProperty(
    fc.array(fault, { maxLength: 12 }),
    fc.array(fc.nat(3), { minLength: 20, maxLength: 60 }),
    async (faults, steps) => {
      const files = new FaultyFiles();
      const { log, file } = await openSample(t, { files, maxSize: 2048, keep: 2 });
      files.fail = (operation, count) => {
        const found = faults.find((candidate) => candidate.operation === operation && candidate.at === count);
        files.partialBytes = found?.bytes ?? 0;
        return found === undefined ? undefined : 'EIO';
      };
      const acknowledged = new Map<number, string>();
      for (const [index, step] of steps.entries()) {
        const containerId = `c${index}`;
        const some = sampleCall({ subject: { containerId } });
        if (step === 0) log.observe(some, allowed, ok);
        if (step === 1) log.refuse(some, denied);
        if (step < 2) continue;
        const written = log.intent(some, allowed);
        await written.then(
          (sequence) => acknowledged.set(sequence, containerId),
          (error: unknown) => assert.ok(error instanceof AuditUnavailable),
        );
      }
      files.fail = () => undefined;
      await log.close();
      const report = await verify(file);
      assert.deepEqual(report.problems, []);
      const records = report.segments.flatMap(recordsOf);
      for (const [sequence, containerId] of acknowledged) {
        if (sequence <= report.removed) continue;
        const found = records.find((record) => record.sequence === sequence);
        assert.equal(found?.kind === 'intent' ? found.subject?.containerId : undefined, containerId);
      }
    },
  );
  await fc.assert(property, { numRuns: runs(60) });
});
