import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordBody } from '../record/record.js';
import { Tally } from './tally.js';

const caller = { listener: 'host', peer: 'p', decision: { outcome: 'allow', reason: '' } } as const;
const result = { code: 'OK', durationUs: 1 };

test('counts calls by method and result', () => {
  const tally = new Tally();
  const bodies: RecordBody[] = [
    { kind: 'boot', facts: {} },
    { kind: 'intent', method: 'A', digest: '', ...caller },
    { kind: 'outcome', method: 'A', intent: 1, listener: 'l', peer: 'p', result },
    { kind: 'call', method: 'B', digest: '', ...caller, result: { ...result, code: 'NOT_FOUND' } },
    { kind: 'refusal', method: 'C', digest: '', ...caller },
    { kind: 'fold', of: 'call', method: 'B', ...caller, since: 0, count: 7, code: 'OK' },
    { kind: 'fold', of: 'refusal', method: 'C', ...caller, since: 0, count: 9 },
    { kind: 'lost', count: 3, failure: 'ENOSPC' },
    { kind: 'repaired', cutBytes: 3 },
  ];
  for (const body of bodies) tally.add(body);
  assert.deepEqual(tally.counts(), {
    A: { intent: 1, OK: 1 },
    B: { NOT_FOUND: 1, OK: 7 },
    C: { refused: 10 },
    '*': { lost: 3 },
  });
  const twice = new Tally();
  twice.merge(tally.counts());
  twice.merge(tally.counts());
  assert.deepEqual(twice.counts()['C'], { refused: 20 });
});

test('with any number of names, counts stay bounded and complete', () => {
  const tally = new Tally();
  for (let n = 0; n < 10_000; n += 1) {
    tally.add({ kind: 'refusal', method: `m${n}`, digest: '', ...caller });
    tally.add({ kind: 'call', method: 'A', digest: '', ...caller, result: { ...result, code: `c${n}` } });
  }
  const counts = tally.counts();
  assert.ok(JSON.stringify(counts).length < 8192);
  const sum = Object.values(counts).flatMap((results) => Object.values(results));
  assert.equal(
    sum.reduce((a, b) => a + b, 0),
    20_000,
  );
  assert.ok((counts['*']?.['refused'] ?? 0) > 9_000);
});

test('a method named __proto__ is counted like others', () => {
  const tally = new Tally();
  tally.add({ kind: 'refusal', method: '__proto__', digest: '', ...caller });
  assert.equal(JSON.stringify(tally.counts()), '{"__proto__":{"refused":1}}');
  const again = new Tally();
  again.merge(JSON.parse(JSON.stringify(tally.counts())));
  assert.equal(JSON.stringify(again.counts()), '{"__proto__":{"refused":1}}');
});
