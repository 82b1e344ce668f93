import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CheckpointKeys, openCheckpoint, signCheckpoint } from './checkpoint/checkpoint.js';
import { TextFormError } from './text-form.js';
import { ProofError, proveInclusion } from './merkle/proofs.js';
import { emptyRoot } from './merkle/tree-hash.js';
import { NoteSignatureError } from './note/note.js';
import { memoryTree, records } from './testing/memory-tree.js';
import { mutations } from './testing/mutations.js';
import { otherLog, testLog, testWitness } from './testing/test-keys.js';
import { formatTlogProof, parseTlogProof, verifyProof } from './tlog-proof.js';

const texts = records(11);
const { source, heads } = memoryTree(texts);
const keys: CheckpointKeys = { logs: [testLog.verifier], witnesses: [testWitness.verifier] };

function proofOf(index: number, size: number, extra?: Uint8Array): string {
  const signed = signCheckpoint(testLog, heads[size] ?? { size: 0, root: emptyRoot });
  const { text } = openCheckpoint(signed, keys);
  const checkpoint = openCheckpoint(signed + testWitness.cosign(text, 7), keys);
  const inclusion = proveInclusion(index, size, source);
  return formatTlogProof({ ...(extra === undefined ? {} : { extra }), index, inclusion, checkpoint });
}

const isRefusal = (error: unknown): boolean =>
  error instanceof TextFormError || error instanceof NoteSignatureError || error instanceof ProofError;

describe('a proof', () => {
  it('has the lines of the specification', () => {
    const text = proofOf(9, 11);
    const [first, index, ...rest] = text.split('\n');
    assert.deepEqual([first, index], ['c2sp.org/tlog-proof@v1', 'index 9']);
    assert.equal(rest.indexOf(''), 3);
    assert.equal(rest[4], testLog.verifier.name);
  });

  it('proves each leaf of each size, and no other leaf', () => {
    for (let size = 1; size <= texts.length; size += 1)
      for (let index = 0; index < size; index += 1) {
        const proof = parseTlogProof(proofOf(index, size));
        const checkpoint = verifyProof(proof, texts[index] ?? '', keys);
        assert.deepEqual(checkpoint.head, heads[size]);
        assert.equal(checkpoint.witnesses[0]?.time, 7);
        assert.throws(() => verifyProof(proof, `${texts[index]}.`, keys), ProofError);
      }
  });

  it('is refused with any byte or line changed, or loses the witness', () => {
    for (const [index, size] of [[0, 1] as const, [9, 11] as const]) {
      const text = proofOf(index, size);
      for (const { what, bytes } of mutations(text)) {
        let witnesses: number;
        try {
          witnesses = verifyProof(parseTlogProof(bytes), texts[index] ?? '', keys).witnesses.length;
        } catch (error) {
          assert.ok(isRefusal(error), what);
          continue;
        }
        // Lines of signatures can have any order.
        const isOrder = witnesses === 1 && what.startsWith('lines');
        assert.ok(witnesses === 0 || isOrder, what);
      }
    }
  });

  it('is refused without a signature of the log', () => {
    const proof = parseTlogProof(proofOf(9, 11));
    assert.throws(
      () => verifyProof(proof, texts[9] ?? '', { ...keys, logs: [otherLog.verifier] }),
      NoteSignatureError,
    );
  });

  it('can have extra bytes, which are not protected', () => {
    const extra = Buffer.from(texts[9] ?? '');
    const text = proofOf(9, 11, extra);
    assert.match(text, /^c2sp\.org\/tlog-proof@v1\nextra [^\n]+\nindex 9\n/);
    const proof = parseTlogProof(text);
    assert.deepEqual(proof.extra, extra);
    verifyProof(proof, extra, keys);
    assert.equal(proofOf(9, 11, Buffer.alloc(0)), proofOf(9, 11));
    const line = `extra ${extra.toString('base64')}\n`;
    for (const bad of ['extra \n', 'extra\n', 'extra  AAAA\n', 'extra AAA\n', 'Extra AAAA\n', line + line])
      assert.throws(() => parseTlogProof(text.replace(line, bad)), TextFormError, bad);
  });

  it('has at most 63 hashes, and an index without leading zeroes', () => {
    const text = proofOf(0, 1);
    const hash = `${Buffer.alloc(32).toString('base64')}\n`;
    const withHashes = (count: number): string => text.replace('index 0\n', `index 0\n${hash.repeat(count)}`);
    assert.equal(parseTlogProof(withHashes(63)).inclusion.length, 63);
    assert.throws(() => parseTlogProof(withHashes(64)), /may have 63/);
    for (const bad of [
      'index',
      'index ',
      'index 00',
      'index -0',
      'index 9007199254740992',
      ' index 0',
      'index 0 ',
    ])
      assert.throws(() => parseTlogProof(text.replace('index 0', bad)), TextFormError, bad);
  });
});
