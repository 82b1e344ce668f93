import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryTree, records } from '../testing/memory-tree.js';
import { checkConsistency, checkInclusion, proveConsistency, proveInclusion } from './proofs.js';
import { leafHash } from './tree-hash.js';
import { completeSubtrees, type HashSource, type LeafRange, MissingHashError } from './stored-hashes.js';

const texts = records(100);
const { source, heads } = memoryTree(texts);
const names = (range: LeafRange): readonly string[] =>
  completeSubtrees(range).map(({ level, index }) => `${level}/${index}`);

describe('complete subtrees of a range', () => {
  it('are the fewest that have exactly its leaves', () => {
    assert.deepEqual(names({ from: 0, to: 0 }), []);
    assert.deepEqual(names({ from: 0, to: 8 }), ['3/0']);
    assert.deepEqual(names({ from: 0, to: 7 }), ['2/0', '1/2', '0/6']);
    assert.deepEqual(names({ from: 3, to: 13 }), ['0/3', '2/1', '2/2', '0/12']);
    assert.deepEqual(names({ from: 2 ** 52, to: 2 ** 52 + 3 }), [`1/${2 ** 51}`, `0/${2 ** 52 + 2}`]);
  });

  it('have each leaf once, for each range', () => {
    for (let from = 0; from < 40; from += 1)
      for (let to = from; to < 40; to += 1) {
        const leaves = completeSubtrees({ from, to }).flatMap(({ level, index }) =>
          Array.from({ length: 2 ** level }, (_, at) => index * 2 ** level + at),
        );
        assert.deepEqual(
          leaves,
          Array.from({ length: to - from }, (_, at) => from + at),
        );
      }
  });
});

describe('a store', () => {
  it('can have leaf hashes alone', () => {
    const leavesOnly: HashSource = (level, index) => (level === 0 ? source(level, index) : undefined);
    for (let size = 1; size <= texts.length; size += 1) {
      assert.deepEqual(proveInclusion(size >> 1, size, leavesOnly), proveInclusion(size >> 1, size, source));
      assert.deepEqual(
        proveConsistency((size + 1) >> 1, size, leavesOnly),
        proveConsistency((size + 1) >> 1, size, source),
      );
    }
  });

  // Segments of 37 and 24 records were rotated away; of each the roots of its subtrees are left.
  const removed = 61;
  const roots = new Set([...names({ from: 0, to: 37 }), ...names({ from: 37, to: removed })]);
  const rotated: HashSource = (level, index) => {
    const isKept = index * 2 ** level >= removed || roots.has(`${level}/${index}`);
    return isKept ? source(level, index) : undefined;
  };

  it('of which segments were rotated away proves what is left, and each later size', () => {
    const size = texts.length;
    const head = heads[size];
    assert.ok(head !== undefined);
    for (let index = removed; index < size; index += 1)
      checkInclusion(index, leafHash(texts[index] ?? ''), head, proveInclusion(index, size, rotated));
    for (const old of [37, ...Array.from({ length: size - removed + 1 }, (_, at) => removed + at)])
      checkConsistency(heads[old] ?? head, head, proveConsistency(old, size, rotated));
  });

  it('names the first leaf whose hash is missing', () => {
    assert.throws(
      () => proveInclusion(3, 100, rotated),
      (error) => error instanceof MissingHashError && error.leaf === 2,
    );
    assert.throws(
      () => proveConsistency(20, 100, rotated),
      (error) => error instanceof MissingHashError && error.leaf === 16,
    );
  });
});
