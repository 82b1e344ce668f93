import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { TextFormError } from '../text-form.js';
import { memoryTree, records } from '../testing/memory-tree.js';
import { Frontier } from './frontier.js';
import { emptyRoot, leafHash } from './tree-hash.js';

const texts = records(200);
const { heads } = memoryTree(texts);

describe('a frontier', () => {
  it('continues from its text as if it had never been away', () => {
    const property = fc.property(fc.integer({ min: 0, max: texts.length }), (stop) => {
      const first = new Frontier();
      for (const text of texts.slice(0, stop)) first.append(leafHash(text));
      const second = Frontier.parse(first.toString());
      assert.equal(second.toString(), first.toString());
      for (const text of texts.slice(stop)) second.append(leafHash(text));
      assert.deepEqual(second.head(), heads.at(-1));
    });
    fc.assert(property, { examples: [[0], [1], [128], [200]] });
  });

  it('stores the hash of each complete subtree once, when it is complete', () => {
    const frontier = new Frontier();
    const stored: string[] = [];
    for (const text of texts.slice(0, 6))
      frontier.append(leafHash(text), (level, index) => stored.push(`${frontier.size}: ${level}/${index}`));
    assert.deepEqual(stored, [
      '0: 0/0',
      '1: 0/1',
      '1: 1/0',
      '2: 0/2',
      '3: 0/3',
      '3: 1/1',
      '3: 2/0',
      '4: 0/4',
      '5: 0/5',
      '5: 1/2',
    ]);
  });

  it('is unchanged if a hash cannot be stored', () => {
    const frontier = new Frontier();
    for (const text of texts.slice(0, 7)) frontier.append(leafHash(text));
    for (const failing of [0, 1, 3])
      assert.throws(
        () =>
          frontier.append(leafHash(texts[7] ?? ''), (level) => {
            if (level === failing) throw new Error('disk full');
          }),
        /disk full/,
      );
    assert.deepEqual(frontier.head(), heads[7]);
    frontier.append(leafHash(texts[7] ?? ''));
    assert.deepEqual(frontier.head(), heads[8]);
  });

  it('has the hashes of the subtrees that it consists of, also from its text', () => {
    for (let size = 0; size <= 130; size += 1) {
      const { source } = memoryTree(texts.slice(0, size));
      const frontier = new Frontier();
      for (const text of texts.slice(0, size)) frontier.append(leafHash(text));
      for (const each of [frontier, Frontier.parse(frontier.toString())]) {
        let leaves = 0;
        each.forEachSubtree((level, index, hash) => {
          assert.equal(index * 2 ** level, leaves);
          assert.equal(hash, source(level, index));
          leaves += 2 ** level;
        });
        assert.equal(leaves, size);
      }
    }
  });

  it('refuses other texts', () => {
    const hash = emptyRoot;
    assert.equal(Frontier.parse('0').root(), emptyRoot);
    for (const text of [
      '',
      ' ',
      '1',
      '-1',
      '01',
      `1  ${hash}`,
      `1 ${hash} `,
      `1 ${hash}\n`,
      `0 ${hash}`,
      `2 ${hash} ${hash}`,
      `3 ${hash}`,
      `1 ${hash.toUpperCase()}`,
      `1 ${hash.slice(1)}`,
      `9007199254740992 ${hash}`,
    ])
      assert.throws(() => Frontier.parse(text), TextFormError, text);
  });

  it('has at most 2^53 - 1 leaves', () => {
    const full = Frontier.parse(`9007199254740991 ${Array(53).fill(emptyRoot).join(' ')}`);
    assert.throws(() => full.append(emptyRoot), RangeError);
    const almost = Frontier.parse(`9007199254740990 ${Array(52).fill(emptyRoot).join(' ')}`);
    almost.append(emptyRoot);
    assert.equal(almost.toString(), full.toString());
  });
});
