import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TreeHash } from '@kata-agent/tlog';
import { type SignedHead, SignedHeads } from './compared-log.js';

const headOf = (size: number, root = 'a', note = `note ${size} ${root}`): SignedHead => ({
  size,
  root: root.repeat(64) as TreeHash,
  note,
});

test('heads wait until there are as many records', () => {
  const heads = new SignedHeads();
  assert.ok(heads.isEmpty);
  for (const size of [5, 3, 9]) assert.equal(heads.add(headOf(size)), undefined);
  assert.equal(heads.take(2), undefined);
  const sizes = [heads.take(5)?.size, heads.take(5)?.size, heads.take(5)?.size];
  assert.deepEqual(sizes, [5, 3, undefined]);
  assert.equal(heads.isEmpty, false);
  assert.equal(heads.take(9)?.size, 9);
  assert.ok(heads.isEmpty);
});

test('two trees of one size contradict each other; the same one does not', () => {
  const heads = new SignedHeads();
  heads.add(headOf(5));
  assert.equal(heads.add(headOf(5, 'a', 'again')), undefined);
  assert.deepEqual(heads.add(headOf(5, 'b')), { size: 5, notes: ['note 5 a', 'note 5 b'] });
});

test('the largest are kept', () => {
  const heads = new SignedHeads(3);
  for (const size of [4, 2, 8, 6, 1]) heads.add(headOf(size));
  const kept: number[] = [];
  for (let head = heads.take(99); head !== undefined; head = heads.take(99)) kept.push(head.size);
  assert.deepEqual(
    kept.sort((a, b) => a - b),
    [4, 6, 8],
  );
});

test('those that are cosigned are kept, whatever else is signed, and only so many', () => {
  const heads = new SignedHeads(2, 2);
  heads.add(headOf(4));
  heads.keep(headOf(4, 'b'));
  assert.ok(!heads.isFull);
  heads.keep(headOf(4));
  heads.add(headOf(5));
  heads.keep(headOf(5));
  assert.ok(heads.isFull);
  for (const size of [90, 91, 92, 93]) heads.add(headOf(size));
  assert.deepEqual(heads.add(headOf(4, 'b')), { size: 4, notes: ['note 4 a', 'note 4 b'] });
  assert.equal(heads.take(4)?.size, 4);
  assert.ok(!heads.isFull);
  const kept: number[] = [];
  for (let head = heads.take(99); head !== undefined; head = heads.take(99)) kept.push(head.size);
  assert.deepEqual(kept, [5, 92, 93]);
  // One that is compared already is not kept.
  heads.keep(headOf(4));
  assert.ok(heads.isEmpty);
});
