import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { TextFormError } from '../text-form.js';
import { emptyRoot, treeHashToBase64 } from '../merkle/tree-hash.js';
import { parseVerifier, rawPublicKey } from '../note/verifiers.js';
import { formatNote, NoteSignatureError } from '../note/note.js';
import { LogSigner } from '../note/signers.js';
import { memoryTree, records } from '../testing/memory-tree.js';
import { mutations } from '../testing/mutations.js';
import { otherLog, otherWitness, testKey, testLog, testWitness } from '../testing/test-keys.js';
import { agentLogVerifier } from './agent-log.js';
import {
  type Checkpoint,
  type CheckpointKeys,
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from './checkpoint.js';

const head = memoryTree(records(5)).heads[5] ?? { size: 0, root: emptyRoot };
const root = treeHashToBase64(head.root);
const signed = signCheckpoint(testLog, head);
const { text } = openCheckpoint(signed, { logs: [testLog.verifier], witnesses: [] });
const cosigned = signed + testWitness.cosign(text, 7) + otherWitness.cosign(text, 8);
const keys: CheckpointKeys = {
  logs: [otherLog.verifier, testLog.verifier],
  witnesses: [testWitness.verifier, otherWitness.verifier],
};
const isMissing = (error: unknown): boolean =>
  error instanceof NoteSignatureError && error.fault === 'missing';

describe('a checkpoint', () => {
  it('has three lines, and is named by its key', () => {
    const raw = rawPublicKey(testKey(1));
    const origin = `kata-agent/${createHash('sha256').update(raw).digest('hex')}`;
    assert.equal(text, `${origin}\n5\n${root}\n`);
    const verifier = agentLogVerifier(raw);
    assert.equal(verifier.name, origin);
    assert.equal(parseVerifier(verifier.toString()).name, origin);
    const opened = openCheckpoint(signed, { logs: [verifier], witnesses: [] });
    assert.deepEqual([opened.origin, opened.head, opened.witnesses], [origin, head, []]);
  });

  it('has the log and each witness that is known, with its time', () => {
    const opened = openCheckpoint(cosigned, keys);
    assert.equal(opened.log.by, testLog.verifier);
    assert.deepEqual(
      opened.witnesses.map(({ by, time }) => [by, time]),
      [
        [testWitness.verifier, 7],
        [otherWitness.verifier, 8],
      ],
    );
    assert.equal(formatCheckpoint(opened), cosigned);
    const fewer = openCheckpoint(cosigned, { ...keys, witnesses: [otherWitness.verifier] });
    assert.equal(formatCheckpoint(fewer), signed + otherWitness.cosign(text, 8));
  });

  it('is refused with any byte or line changed, or loses the witness whose line was changed', () => {
    const whole = JSON.stringify(
      openCheckpoint(cosigned, keys)
        .witnesses.map(({ by }) => by.name)
        .sort(),
    );
    for (const { what, bytes } of mutations(cosigned)) {
      let opened: Checkpoint;
      try {
        opened = openCheckpoint(bytes, keys);
      } catch (error) {
        assert.ok(error instanceof TextFormError || error instanceof NoteSignatureError, what);
        continue;
      }
      assert.equal(opened.text, text, what);
      const names = opened.witnesses.map(({ by }) => by.name);
      // Lines of signatures can have any order.
      assert.ok(names.length < 2 || JSON.stringify(names.sort()) === whole, what);
      assert.ok(names.length === 2 ? what.startsWith('lines') : true, what);
    }
  });

  it('must be signed by the key whose name is its origin', () => {
    for (const logs of [[], [otherLog.verifier], [new LogSigner('other', testKey(1)).verifier]])
      assert.throws(() => openCheckpoint(cosigned, { ...keys, logs }), isMissing);
    // A log that is known signs a checkpoint of another one, which has not signed it.
    assert.throws(() => openCheckpoint(formatNote(text, [otherLog.sign(text)]), keys), isMissing);
    // Witnesses alone do not make a checkpoint.
    assert.throws(() => openCheckpoint(formatNote(text, [testWitness.cosign(text, 7)]), keys), isMissing);
  });

  it('has no extension lines, no other forms of a number, and a root of 32 bytes', () => {
    const { name } = testLog.verifier;
    for (const malformed of [
      '',
      '\n',
      `${name}\n`,
      `${name}\n5\n`,
      `\n5\n${root}\n`,
      ...['extension\n', '\n', 'a\nb\n'].map((more) => text + more),
      ...['', ' 5', '5 ', '05', '+5', '-5', '5.0', '5e0', '0x5', '٥', '9007199254740992', '1'.repeat(30)].map(
        (size) => `${name}\n${size}\n${root}\n`,
      ),
      ...['', ` ${root}`, root.slice(0, -1), `${root}=`, root.slice(4), `AAAA${root}`].map(
        (bad) => `${name}\n5\n${bad}\n`,
      ),
      `${name}\n5\n${root.slice(0, -2)}${root.at(-2) === 'B' ? 'C' : 'B'}=\n`,
    ])
      assert.throws(
        () => parseCheckpoint(formatNote(malformed, [testLog.sign(malformed)])),
        TextFormError,
        JSON.stringify(malformed),
      );
    const hostile = `${name}\n\u202e${'5'.repeat(10_000)}\n${root}\n`;
    assert.throws(
      () => parseCheckpoint(formatNote(hostile, [testLog.sign(hostile)])),
      ({ message }: Error) => /^[ -~]+$/.test(message) && message.length < 200 && message.includes('\\u202e'),
    );
    for (const size of [0, Number.MAX_SAFE_INTEGER])
      assert.equal(parseCheckpoint(signCheckpoint(testLog, { ...head, size })).head.size, size);
    for (const size of [-1, 0.5, NaN, 2 ** 53])
      assert.throws(() => signCheckpoint(testLog, { ...head, size }), RangeError);
  });
});
