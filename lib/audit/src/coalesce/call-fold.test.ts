import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallFold } from './call-fold.js';
import type { RecordBody } from '../record/record.js';
import { allowed, ok, sampleCall } from '../testing/sample.js';

function sample(): {
  fold: CallFold;
  emitted: Extract<RecordBody, { kind: 'fold' }>[];
  readonly at: (ns: bigint) => void;
} {
  const emitted: Extract<RecordBody, { kind: 'fold' }>[] = [];
  let now = 0n;
  const fold = new CallFold(
    (body) => {
      assert.equal(body.kind, 'fold');
      if (body.kind === 'fold') emitted.push(body);
    },
    () => now,
  );
  return { fold, emitted, at: (ns) => (now = ns) };
}

const call = sampleCall({ method: 'ReadStdout', subject: { containerId: 'c1', execId: 'e1' } });

test('the caller writes the first call; later ones are counted with bytes and duration', () => {
  const { fold, emitted, at } = sample();
  const read = { code: 'OK', durationUs: 10, bytes: 100 };
  assert.equal(fold.count('r', call, allowed, read), false);
  at(7n);
  assert.equal(fold.count('r', call, allowed, read), true);
  at(9n);
  assert.equal(fold.count('r', call, allowed, { ...read, bytes: 1 }), true);
  fold.tick();
  assert.deepEqual(emitted, [
    {
      kind: 'fold',
      of: 'call',
      listener: 'host',
      peer: 'cid 2',
      method: 'ReadStdout',
      claimedOperator: undefined,
      decision: { outcome: 'allow', code: undefined, rule: undefined, reason: allowed.reason },
      subject: { containerId: 'c1', execId: 'e1', argv0: undefined },
      code: 'OK',
      since: 7,
      count: 2,
      bytes: 101,
      durationUs: 20,
    },
  ]);
});

test('counters restart at each tick, and an idle run ends', () => {
  const { fold, emitted } = sample();
  assert.equal(fold.count('r', call, allowed, ok), false);
  assert.equal(fold.count('r', call, allowed, ok), true);
  fold.tick();
  assert.equal(fold.count('r', call, allowed, ok), true);
  fold.tick();
  assert.deepEqual(
    emitted.map(({ count }) => count),
    [1, 1],
  );
  fold.tick();
  assert.equal(fold.size, 0);
  assert.equal(fold.count('r', call, allowed, ok), false);
});

test('a call with another code, peer, claimed operator or listener is not identical', () => {
  const { fold, emitted } = sample();
  const others = [
    () => fold.count('r', call, allowed, ok),
    () => fold.count('r', call, allowed, { ...ok, code: 'NOT_FOUND' }),
    () => fold.count('r', { ...call, peer: 'cid 3' }, allowed, ok),
    () => fold.count('r', { ...call, listener: 'tenant' }, allowed, ok),
    () => fold.count('r', { ...call, claimedOperator: 'alice' }, allowed, ok),
    () => fold.count('r', { ...call, claimedOperator: 'bob' }, allowed, ok),
  ];
  for (const count of others) assert.equal(count(), false);
  for (const count of others) assert.equal(count(), true);
  fold.tick();
  assert.deepEqual(
    emitted.map(({ listener, peer, code, count, claimedOperator: operator = '' }) => [
      listener,
      peer,
      code,
      count,
      operator,
    ]),
    [
      ['host', 'cid 2', 'OK', 1, ''],
      ['host', 'cid 2', 'NOT_FOUND', 1, ''],
      ['host', 'cid 3', 'OK', 1, ''],
      ['tenant', 'cid 2', 'OK', 1, ''],
      ['host', 'cid 2', 'OK', 1, 'alice'],
      ['host', 'cid 2', 'OK', 1, 'bob'],
    ],
  );
});

test('a server that names another operator with each call has few of them written', () => {
  const { fold, emitted } = sample();
  const written = Array.from({ length: 1000 }, (_, n) =>
    fold.count('r', { ...call, claimedOperator: `op${n}` }, allowed, { ...ok, bytes: 1 }),
  ).filter((counted) => !counted).length;
  assert.equal(written, 16);
  // Nothing is lost, and a call that names nobody has its own record.
  assert.equal(fold.count('r', call, allowed, ok), false);
  fold.tick();
  assert.deepEqual(
    emitted.map(({ peer, count, bytes, claimedOperator }) => [peer, count, bytes, claimedOperator]),
    [['*', 984, 984, undefined]],
  );
  // An operator that was counted with others has no call of its own, which could make an intent unnecessary.
  assert.equal(fold.has('r', { ...call, claimedOperator: 'op999' }, allowed, ok), false);
  assert.equal(fold.has('r', { ...call, claimedOperator: 'op0' }, allowed, ok), false);
  fold.tick();
  assert.equal(fold.size, 0);
  assert.equal(fold.count('r', { ...call, claimedOperator: 'op999' }, allowed, ok), false);
});

test('the number of runs is bounded: the oldest is evicted and its count written', () => {
  const { fold, emitted } = sample();
  for (let n = 0; n < 1024; n += 1) fold.count(`r${n}`, call, allowed, ok);
  fold.count('r0', call, allowed, ok);
  fold.count('one more', call, allowed, ok);
  fold.count('two more', call, allowed, ok);
  assert.equal(fold.size, 1024);
  assert.deepEqual(
    emitted.map(({ count }) => count),
    [1],
  );
  assert.equal(fold.count('r0', call, allowed, ok), false);
});

test('a call that an audit-only rule would deny is counted separately', () => {
  const { fold, emitted } = sample();
  const watched = { ...allowed, rule: 'own-streams' };
  assert.equal(fold.count('r', call, allowed, ok), false);
  assert.equal(fold.count('r', call, watched, ok), false);
  assert.equal(fold.count('r', call, allowed, ok), true);
  assert.equal(fold.count('r', call, watched, ok), true);
  fold.tick();
  assert.deepEqual(
    emitted.map(({ count, decision }) => [count, decision.rule]),
    [
      [1, undefined],
      [1, 'own-streams'],
    ],
  );
});
