import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { AuditedCall } from '../audit-log.js';
import { allowed, denied, ok, openSample, recordsIn, sampleCall } from '../testing/sample.js';
import { verify } from '../read/verify.js';

/** Calls at the start of a pod, each with an effect that no request can undo. */
const beginning = ['CreateSandbox', 'CreateContainer', 'ExecProcess', 'SetPolicy'] as const;

const floodOf = fc.record({
  method: fc.constantFrom('SignalProcess', 'CreateContainer', 'ExecProcess', 'CopyFile', 'TtyWinResize'),
  code: fc.constantFrom('OK', 'NOT_FOUND'),
  kind: fc.constantFrom('change', 'refuse', 'observe'),
  count: fc.integer({ min: 50, max: 400 }),
});

test('under any flood the log keeps boot, create, exec, policy and the first denial, and verifies', async (t) => {
  const property = fc.asyncProperty(fc.array(floodOf, { minLength: 1, maxLength: 4 }), async (floods) => {
    const { log, file, clock } = await openSample(t, { maxSize: 64 * 1024, keep: 1 });
    await log.boot({ version: '1' });
    const marked: AuditedCall[] = beginning.map((method) =>
      sampleCall({ method, subject: { containerId: 'mine' } }),
    );
    for (const call of marked) log.outcome(await log.intent(call, allowed), call, ok);
    log.refuse(sampleCall({ method: 'ReseedRandomDev', subject: { containerId: 'mine' } }), denied);
    for (const { method, code, kind, count } of floods) {
      for (let n = 0; n < count; n += 1) {
        const call = sampleCall({ method, peer: `cid ${n % 40}`, subject: { containerId: `flood-${n}` } });
        if (kind === 'refuse') log.refuse(call, denied);
        else if (kind === 'observe') log.observe(call, allowed, { ...ok, code });
        else log.outcome(await log.intent(call, allowed), call, { ...ok, code });
        if (n % 50 === 0) clock.pass(1000);
      }
    }
    await log.close();
    assert.deepEqual((await verify(file)).problems, []);
    const records = await recordsIn(file);
    assert.equal(records[0]?.kind, 'boot');
    for (const method of beginning) {
      const intent = records.find((r) => r.kind === 'intent' && r.method === method);
      assert.ok(intent?.kind === 'intent' && intent.subject?.containerId === 'mine', method);
      assert.ok(
        records.some((r) => r.kind === 'outcome' && r.intent === intent.sequence),
        method,
      );
    }
    assert.ok(records.some((r) => r.kind === 'refusal' && r.method === 'ReseedRandomDev'));
  });
  await fc.assert(property, { numRuns: 12 });
});

test('counts cover all calls, kept or not', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 64 * 1024, keep: 1 });
  await log.boot({});
  for (let n = 0; n < 2000; n += 1) {
    const call = sampleCall({ method: 'CreateContainer', subject: { containerId: `c${n}` } });
    log.outcome(await log.intent(call, allowed), call, ok);
  }
  await log.close();
  const report = await verify(file);
  assert.deepEqual(report.problems, []);
  const records = await recordsIn(file);
  const rotated = records.findLast((record) => record.kind === 'rotated');
  const removed = rotated?.kind === 'rotated' ? (rotated.removed?.counts['CreateContainer'] ?? {}) : {};
  const inSegments = records.slice(report.kept).filter(({ kind }) => kind === 'intent').length;
  assert.equal((removed['intent'] ?? 0) + inSegments, 2000);
  assert.ok(report.kept < 200);
  const ids = records.flatMap((r) => (r.kind === 'intent' ? [r.subject?.containerId] : []));
  assert.deepEqual(ids.slice(0, 3), ['c0', 'c1', 'c2']);
  assert.equal(ids.at(-1), 'c1999');
});
