import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { memoryTree, records } from '../testing/memory-tree.js';
import { mth, path, proof } from '../testing/rfc6962.js';
import { checkConsistency, checkInclusion, ProofError, proveConsistency, proveInclusion } from './proofs.js';
import { emptyRoot, leafHash, type TreeHash } from './tree-hash.js';
import { splitPoint } from './stored-hashes.js';

const max = 70;
const texts = records(max);
const leaves = texts.map((text) => Buffer.from(text));
const tree = memoryTree(texts);
const hex = (hashes: readonly Buffer[]): readonly string[] => hashes.map((hash) => hash.toString('hex'));
const root = (size: number): TreeHash => mth(leaves.slice(0, size)).toString('hex') as TreeHash;
const head = (size: number): { size: number; root: TreeHash } => ({ size, root: root(size) });
const other = '5'.repeat(64) as TreeHash;

describe('the tree of RFC 6962', () => {
  it('has the roots of the known answers of Certificate Transparency', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657'];
    const { heads } = memoryTree(
      [...inputs, '606162636465666768696a6b6c6d6e6f'].map((text) => Buffer.from(text, 'hex')),
    );
    assert.deepEqual(
      heads.map((each) => each.root),
      [
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
        'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
        'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
        '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
        '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
        'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
        '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
      ],
    );
  });

  it('has the root of the definition, for each size', () => {
    assert.deepEqual(
      tree.heads,
      Array.from({ length: max + 1 }, (_, size) => head(size)),
    );
  });

  it('hashes a leaf of any length and of either type alike', () => {
    for (const length of [0, 1, 400, 16 * 1024 - 1, 16 * 1024, 100_000]) {
      const expected = mth([Buffer.alloc(length, 'x')]).toString('hex');
      assert.equal(leafHash('x'.repeat(length)), expected);
      assert.equal(leafHash(Buffer.alloc(length, 'x')), expected);
    }
    assert.equal(leafHash('ü'), leafHash(Buffer.from('ü')));
  });

  it('splits at the largest power of two below the size', () => {
    const power = 2 ** 52;
    assert.deepEqual([2, 3, 4, 5, 9, power, power + 1, Number.MAX_SAFE_INTEGER].map(splitPoint), [
      1,
      2,
      2,
      4,
      8,
      power / 2,
      power,
      power,
    ]);
  });
});

describe('an inclusion proof', () => {
  it('is PATH of the definition, and is accepted, for each leaf of each size', () => {
    for (let size = 1; size <= max; size += 1)
      for (let index = 0; index < size; index += 1) {
        const made = proveInclusion(index, size, tree.source);
        assert.deepEqual(made, hex(path(index, leaves.slice(0, size))));
        checkInclusion(index, leafHash(texts[index] ?? ''), head(size), made);
      }
  });

  it('is refused when a hash is changed, removed, added or swapped, and for another leaf, index, size or root', () => {
    for (const [index, size] of [
      ...[0, 1, 2, 3].map((at) => [at, 4] as const),
      ...[0, 5, 6].map((at) => [at, 7] as const),
      ...[0, 31, 32, 63, 64, 69].map((at) => [at, max] as const),
      [0, 1] as const,
    ]) {
      const leaf = leafHash(texts[index] ?? '');
      const made = proveInclusion(index, size, tree.source);
      const refused = (...args: Parameters<typeof checkInclusion>): void =>
        assert.throws(() => checkInclusion(...args), ProofError);
      for (const changed of changes(made)) refused(index, leaf, head(size), changed);
      refused(index, other, head(size), made);
      refused(index, leaf, { size, root: other }, made);
      for (let wrong = 0; wrong <= max; wrong += 1) {
        if (wrong !== index) refused(wrong, leaf, head(size), made);
        if (wrong !== size) refused(index, leaf, head(wrong), made);
      }
      for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        refused(wrong, leaf, head(size), made);
        refused(index, leaf, { size: wrong, root: root(size) }, made);
      }
    }
  });

  it('is not made for a leaf that the tree does not have', () => {
    for (const [index, size] of [
      [0, 0] as const,
      [1, 1] as const,
      [-1, 5] as const,
      [0.5, 5] as const,
      [0, 2 ** 53] as const,
    ])
      assert.throws(() => proveInclusion(index, size, tree.source), RangeError);
  });
});

describe('a consistency proof', () => {
  it('is PROOF of the definition, and is accepted, for each pair of sizes', () => {
    for (let size = 1; size <= max; size += 1)
      for (let old = 1; old <= size; old += 1) {
        const made = proveConsistency(old, size, tree.source);
        assert.deepEqual(made, hex(proof(old, leaves.slice(0, size))));
        checkConsistency(head(old), head(size), made);
      }
  });

  it('is empty from the empty tree, whose root is checked', () => {
    for (const size of [0, 1, 5]) {
      assert.deepEqual(proveConsistency(0, size, tree.source), []);
      checkConsistency({ size: 0, root: emptyRoot }, head(size), []);
      assert.throws(() => checkConsistency({ size: 0, root: other }, head(size), []), ProofError);
      assert.throws(() => checkConsistency({ size: 0, root: emptyRoot }, head(size), [other]), ProofError);
    }
    assert.throws(
      () => checkConsistency({ size: 0, root: emptyRoot }, { size: 0, root: other }, []),
      ProofError,
    );
  });

  it('is refused when a hash is changed, removed, added or swapped, and for another size or root', () => {
    for (const [old, size] of [
      ...[1, 2, 3, 4].map((at) => [at, 4] as const),
      ...[1, 4, 6, 7].map((at) => [at, 7] as const),
      ...[1, 32, 33, 64, 65, 69, 70].map((at) => [at, max] as const),
    ]) {
      const made = proveConsistency(old, size, tree.source);
      const refused = (...args: Parameters<typeof checkConsistency>): void =>
        assert.throws(() => checkConsistency(...args), ProofError);
      for (const changed of changes(made)) refused(head(old), head(size), changed);
      refused({ size: old, root: other }, head(size), made);
      refused(head(old), { size, root: other }, made);
      if (old !== size) refused({ size: old, root: other }, { size, root: other }, made);
      for (let wrong = 0; wrong <= max; wrong += 1) {
        // A smaller tree with an empty proof is the beginning of every tree: the empty one.
        const isEmpty = wrong === 0 && made.length === 0;
        if (wrong !== old && !isEmpty) refused(head(wrong), head(size), made);
        if (wrong !== size && old > 0) refused(head(old), head(wrong), made);
      }
      for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        refused({ size: wrong, root: root(old) }, head(size), made);
        refused(head(old), { size: wrong, root: root(size) }, made);
      }
    }
  });

  it('is not made from a larger tree', () => {
    for (const [old, size] of [[1, 0] as const, [6, 5] as const, [-1, 5] as const, [1, 2 ** 53] as const])
      assert.throws(() => proveConsistency(old, size, tree.source), RangeError);
  });
});

it('trees of any size prove each of their leaves and each of their former sizes', () => {
  const all = records(3000);
  const { source, heads } = memoryTree(all);
  const bytes = all.map((text) => Buffer.from(text));
  const sizes = fc
    .integer({ min: 1, max: all.length })
    .chain((size) =>
      fc.tuple(fc.constant(size), fc.integer({ min: 1, max: size }), fc.integer({ min: 0, max: size - 1 })),
    );
  const property = fc.property(sizes, ([size, old, index]) => {
    const at = heads[size];
    const before = heads[old];
    assert.ok(at !== undefined && before !== undefined);
    const inclusion = proveInclusion(index, size, source);
    assert.deepEqual(inclusion, hex(path(index, bytes.slice(0, size))));
    checkInclusion(index, leafHash(all[index] ?? ''), at, inclusion);
    const consistency = proveConsistency(old, size, source);
    assert.deepEqual(consistency, hex(proof(old, bytes.slice(0, size))));
    checkConsistency(before, at, consistency);
  });
  fc.assert(property, { numRuns: runs(40) });
});

it('checks the largest trees, with proofs of more than 50 hashes', () => {
  const size = Number.MAX_SAFE_INTEGER;
  const head = { size, root: other };
  const wrong = /does not have this leaf|does not begin with the old one/;
  assert.throws(() => checkInclusion(0, other, head, Array(53).fill(other)), wrong);
  assert.throws(() => checkInclusion(size - 1, other, head, Array(52).fill(other)), wrong);
  assert.throws(() => checkInclusion(size - 1, other, head, Array(53).fill(other)), /needs 52/);
  assert.throws(() => checkConsistency({ size: 1, root: other }, head, Array(53).fill(other)), wrong);
  assert.throws(() => checkConsistency({ size: size - 1, root: other }, head, []), /needs 53/);
});

/** Returns a proof with each hash changed, removed, doubled and swapped with the next one, and with one more hash. */
function* changes(hashes: readonly TreeHash[]): Generator<readonly TreeHash[]> {
  for (const [at, hash] of hashes.entries()) {
    yield hashes.with(at, `${hash.startsWith('0') ? '1' : '0'}${hash.slice(1)}` as TreeHash);
    yield hashes.toSpliced(at, 1);
    yield hashes.toSpliced(at, 0, hash);
    const next = hashes[at + 1];
    if (next !== undefined) yield hashes.toSpliced(at, 2, next, hash);
  }
  yield [...hashes, other];
  yield [other, ...hashes];
}
