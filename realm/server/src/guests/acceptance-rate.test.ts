import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AcceptanceRate } from './acceptance-rate.js';

const key = (owner: string, n: number): string => `${owner}-${n}`;

/** A guest of the entry comes with a new key each time, until none is accepted. Returns how many were. */
function flood(pace: AcceptanceRate, owner: string): number {
  let accepted = 0;
  while (pace.allows(key(owner, accepted), 'web')) accepted += 1;
  return accepted;
}

test('a guest that comes with a new key each time takes no acceptance of those that were connected for long', () => {
  let now = 0;
  const pace = new AcceptanceRate(() => now);
  const honest = Array.from({ length: 100 }, (_, n) => key('honest', n));
  for (const id of honest) assert.equal(pace.allows(id, 'web'), true);
  // As many as are remembered, and more, come meanwhile.
  for (let n = 0; n < 20_000; n += 1) {
    now += 100;
    assert.equal(pace.allows(key('earlier', n), 'web'), true);
    pace.left(key('earlier', n), 50);
  }
  for (const id of honest) pace.left(id, now);
  assert.ok(flood(pace, 'hostile') > 1_000);
  assert.equal(pace.allows(key('more', 0), 'web'), false);
  for (const id of honest) assert.equal(pace.allows(id, 'web'), true, id);
  assert.equal(pace.allows(key('hostile', 1), 'other'), true, 'another entry');
});

test('an acceptance beside the pace of the entry is earned each time', () => {
  let now = 0;
  const pace = new AcceptanceRate(() => now);
  assert.equal(pace.allows('a', 'web'), true);
  flood(pace, 'hostile');
  pace.left('a', 29_999);
  assert.equal(pace.allows('a', 'web'), false);
  pace.left('a', 30_000);
  assert.equal(pace.allows('a', 'web'), true);
  pace.left('a', 1_000);
  assert.equal(pace.allows('a', 'web'), false);
  now += 100;
  assert.equal(pace.allows('a', 'web'), true, 'by the pace of the entry');
});

test('one guest has ten acceptances at once, then one in 30 s', () => {
  let now = 0;
  const pace = new AcceptanceRate(() => now);
  const accepted = (): number => {
    let count = 0;
    for (; pace.allows('a', 'web'); count += 1) pace.left('a', 60_000);
    return count;
  };
  assert.equal(accepted(), 10);
  now += 60_000;
  assert.equal(accepted(), 2);
});
