import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkConsistency, proveConsistency } from './proofs.js';
import { Frontier, Growth } from './frontier.js';
import { leafHash, type TreeHash } from './tree-hash.js';

const leaves = Array.from({ length: 300 }, (_, index) => leafHash(`record ${index}`));
const stored = new Map<string, TreeHash>();
const whole = new Frontier();
const growingHeads = leaves.map((leaf) => {
  whole.append(leaf, (level, index, hash) => stored.set(`${level}/${index}`, hash));
  return whole.head();
});
const headOf = (size: number): { readonly size: number; readonly root: TreeHash } =>
  growingHeads[size - 1] ?? new Frontier().head();

test('the proof from one size to each later one is that of the whole tree', () => {
  for (const from of [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 127, 128, 129]) {
    const frontier = new Frontier();
    for (const leaf of leaves.slice(0, from)) frontier.append(leaf);
    const growth = new Growth(frontier);
    assert.deepEqual(growth.prove(), []);
    for (let size = from + 1; size <= leaves.length; size += 1) {
      frontier.append(leaves[size - 1] as TreeHash, growth.store);
      const proof = growth.prove();
      assert.deepEqual(
        proof,
        proveConsistency(from, size, (level, index) => stored.get(`${level}/${index}`)),
      );
      checkConsistency(headOf(from), headOf(size), proof);
    }
  }
});

test('growths of one tree that begin at any sizes do not disturb each other', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(299), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 300 }),
      (starts, size) => {
        const frontier = new Frontier();
        const growths: Growth[] = [];
        for (let at = 0; at < size; at += 1) {
          for (const start of starts) if (start === at) growths.push(new Growth(frontier));
          frontier.append(leaves[at] as TreeHash, (...stores) => {
            for (const { store } of growths) store(...stores);
          });
        }
        for (const growth of growths) checkConsistency(headOf(growth.from), headOf(size), growth.prove());
      },
    ),
  );
});
