import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openCheckpoint, signCheckpoint } from '../checkpoint/checkpoint.js';
import { TextFormError } from '../text-form.js';
import { proveConsistency } from '../merkle/proofs.js';
import { emptyRoot, type TreeHash, type TreeHead } from '../merkle/tree-hash.js';
import { formatNote, NoteSignatureError } from '../note/note.js';
import { LogSigner } from '../note/signers.js';
import { memoryTree, records } from '../testing/memory-tree.js';
import { mutations } from '../testing/mutations.js';
import { otherLog, otherWitness, testKey, testLog, testWitness } from '../testing/test-keys.js';
import {
  type AddCheckpointRequest,
  addCosignatures,
  formatAddCheckpoint,
  parseAddCheckpoint,
  parseConflict,
} from './add-checkpoint.js';
import {
  addCheckpointAnswer,
  type AddCheckpointDecision,
  decideAddCheckpoint,
  type WitnessedLog,
} from './decide-add-checkpoint.js';

const { source, heads } = memoryTree(records(20));
const { heads: forkedHeads } = memoryTree([...records(7), 'another record', ...records(12)]);
const empty: TreeHead = { size: 0, root: emptyRoot };
const headOf = (size: number, of: readonly TreeHead[] = heads): TreeHead => of[size] ?? empty;
const otherRoot = '5'.repeat(64) as TreeHash;
const now = 1_700_000_000;
const keys = [testLog.verifier];
const cosigner = { signer: testWitness, now };

function request(oldSize: number, head: TreeHead, signer: LogSigner = testLog): AddCheckpointRequest {
  const proof = oldSize <= head.size && head.size <= 20 ? proveConsistency(oldSize, head.size, source) : [];
  return parseAddCheckpoint(formatAddCheckpoint(oldSize, proof, signCheckpoint(signer, head)));
}

const decide = (asked: AddCheckpointRequest, latest?: TreeHead): AddCheckpointDecision =>
  decideAddCheckpoint(asked, { keys, latest }, cosigner);

describe('the body of add-checkpoint', () => {
  const signed = signCheckpoint(testLog, headOf(11));
  const body = formatAddCheckpoint(7, proveConsistency(7, 11, source), signed);

  it('has the lines of the specification', () => {
    const lines = body.split('\n');
    assert.equal(lines[0], 'old 7');
    assert.equal(lines.indexOf(''), 1 + proveConsistency(7, 11, source).length);
    assert.ok(body.endsWith(`\n\n${signed}`));
    const parsed = parseAddCheckpoint(Buffer.from(body));
    assert.deepEqual([parsed.oldSize, parsed.checkpoint.head], [7, headOf(11)]);
    assert.deepEqual(parsed.proof, proveConsistency(7, 11, source));
  });

  it('is refused with any byte or line changed', () => {
    for (const { what, bytes } of mutations(body)) {
      let status: number;
      try {
        status = decide(parseAddCheckpoint(bytes), headOf(7)).status;
      } catch (error) {
        assert.ok(error instanceof TextFormError, what);
        continue;
      }
      assert.ok(status >= 400, what);
    }
  });

  it('is malformed in other forms', () => {
    const hash = Buffer.alloc(32).toString('base64');
    const withHashes = (count: number): string => `old 7\n${`${hash}\n`.repeat(count)}\n${signed}`;
    assert.equal(parseAddCheckpoint(withHashes(63)).proof.length, 63);
    for (const malformed of [
      '',
      '\n\n',
      signed,
      `\n\n${signed}`,
      `old 7\n${signed}`,
      'old 7\n\n',
      `old 7\n\n\n${signed}`,
      ...['old', 'old ', 'old 07', 'old -1', 'old  7', 'OLD 7', 'old 7 ', 'old 9007199254740992'].map(
        (line) => `${line}\n\n${signed}`,
      ),
      ...['x', '', hash.slice(1), ` ${hash}`].map((line) => `old 7\n${hash}\n${line}\n\n${signed}x`),
      withHashes(64),
    ])
      assert.throws(() => parseAddCheckpoint(malformed), TextFormError, JSON.stringify(malformed));
  });
});

describe('a witness', () => {
  it('cosigns what is consistent with the tree that it has cosigned last', () => {
    for (let size = 0; size <= 20; size += 1)
      for (let old = 0; old <= size; old += 1) {
        const decision = decide(request(old, headOf(size)), old === 0 ? undefined : headOf(old));
        assert.ok(decision.status === 200, `${old} ${size}`);
        assert.deepEqual(decision.latest, headOf(size));
        const opened = openCheckpoint(decision.checkpoint, { logs: keys, witnesses: [testWitness.verifier] });
        assert.deepEqual(opened.witnesses[0]?.time, now);
        const expected = {
          status: 200,
          contentType: 'text/plain; charset=utf-8',
          body: decision.cosignature,
        };
        assert.deepEqual(addCheckpointAnswer(decision), expected);
      }
  });

  it('cosigns the same tree again, with a new time', () => {
    const again = decideAddCheckpoint(
      request(5, headOf(5)),
      { keys, latest: headOf(5) },
      { ...cosigner, now: now + 9 },
    );
    assert.ok(again.status === 200);
    const opened = openCheckpoint(again.checkpoint, { logs: keys, witnesses: [testWitness.verifier] });
    assert.equal(opened.witnesses[0]?.time, now + 9);
  });

  const known: WitnessedLog = { keys, latest: headOf(7) };
  const signedBy = (signer: LogSigner, lines: readonly string[] = []): AddCheckpointRequest => {
    const { note } = request(7, headOf(11)).checkpoint;
    const checkpoint = formatNote(note.text, [...lines, signer.sign(note.text)]);
    return parseAddCheckpoint(formatAddCheckpoint(7, proveConsistency(7, 11, source), checkpoint));
  };
  const proved = request(7, headOf(11));
  const { name } = testLog.verifier;
  const wrongLine = testLog.sign('another text\n');

  for (const [what, asked, log, status] of [
    ['an unknown origin', proved, undefined, 404],
    ['an unknown origin and much else wrong', request(12, headOf(11), otherLog), undefined, 404],
    ['another key than the one of the origin', signedBy(new LogSigner(name, testKey(9))), known, 403],
    ['a signature under another name', signedBy(otherLog), known, 403],
    ['a wrong signature of the key beside a right one', signedBy(testLog, [wrongLine]), known, 403],
    ['a log without a key', proved, { ...known, keys: [] }, 403],
    [
      'no signature, and an old size that is too large',
      signedBy(otherLog),
      { keys, latest: headOf(12) },
      403,
    ],
    ['an old size larger than the size', request(12, headOf(11)), { keys, latest: headOf(12) }, 400],
    ['an old size larger than the size, of no tree', request(12, headOf(11)), known, 400],
    ['an old size below the latest', request(5, headOf(11)), known, 409],
    ['an old size above the latest', request(9, headOf(11)), known, 409],
    ['an old size of 0', request(0, headOf(11)), known, 409],
    ['an old size, but no latest', proved, { keys, latest: undefined }, 409],
    ['a stale old size, and a proof of nothing', { ...request(5, headOf(11)), proof: [] }, known, 409],
    ['a missing hash', { ...proved, proof: proved.proof.slice(1) }, known, 422],
    ['an additional hash', { ...proved, proof: [...proved.proof, otherRoot] }, known, 422],
    [
      'a proof from the empty tree',
      { ...request(0, headOf(11)), proof: [otherRoot] },
      { keys, latest: undefined },
      422,
    ],
    ['a proof for equal sizes', { ...request(7, headOf(7)), proof: [otherRoot] }, known, 422],
    ['a fork', request(7, headOf(11, forkedHeads)), { keys, latest: headOf(7) }, 422],
    ['a fork before the latest', request(9, headOf(11, forkedHeads)), { keys, latest: headOf(9) }, 422],
    ['another root at the same size', request(7, { size: 7, root: otherRoot }), known, 422],
    [
      'a wrong root of the empty tree',
      request(0, { size: 0, root: otherRoot }),
      { keys, latest: undefined },
      422,
    ],
  ] as const)
    it(`answers ${status} to ${what}`, () => {
      const decision = decideAddCheckpoint(asked, log, cosigner);
      assert.equal(decision.status, status);
      const answer = addCheckpointAnswer(decision);
      assert.equal(answer.status, status);
      if (decision.status === 409) {
        assert.deepEqual(answer, {
          status: 409,
          contentType: 'text/x.tlog.size',
          body: `${log?.latest?.size ?? 0}\n`,
        });
        assert.equal(parseConflict(answer.body), decision.size);
      } else assert.match(answer.body, /^[^\n]+\n$/);
    });
});

describe('a client of witnesses', () => {
  const signed = signCheckpoint(testLog, headOf(11));
  const checkpoint = openCheckpoint(signed, { logs: keys, witnesses: [] });
  const { text } = checkpoint;
  const witnesses = [testWitness.verifier, otherWitness.verifier];
  const first = testWitness.cosign(text, now);
  const names = (lines: string): readonly (readonly [string, number])[] =>
    addCosignatures(checkpoint, lines, witnesses).witnesses.map(({ by, time }) => [by.name, time] as const);

  it('adds the cosignatures of witnesses that it knows', () => {
    const stranger = new LogSigner('stranger', testKey(8)).sign(text);
    assert.deepEqual(names(stranger + first), [['witness.example/w1', now]]);
    const one = addCosignatures(checkpoint, first, witnesses);
    const two = addCosignatures(one, otherWitness.cosign(text, now + 1), witnesses);
    const three = addCosignatures(two, testWitness.cosign(text, now + 2), witnesses);
    assert.deepEqual(
      three.witnesses.map(({ by, time }) => [by.name, time - now]),
      [
        ['witness.example/w2', 1],
        ['witness.example/w1', 2],
      ],
    );
  });

  it('refuses other answers', () => {
    for (const body of ['\n', 'x', first.slice(0, -1), `\n${first}`, `${first}\n`, `x\n\n${first}`])
      assert.throws(() => names(body), TextFormError, JSON.stringify(body));
    assert.throws(() => names(first.repeat(1000)), /may have 65536/);
  });

  it('refuses cosignatures of another checkpoint, and those of strangers alone', () => {
    const isFault =
      (fault: string) =>
      (error: unknown): boolean =>
        error instanceof NoteSignatureError && error.fault === fault;
    assert.throws(() => names(testWitness.cosign('other\n', now)), isFault('wrong'));
    for (const strangers of ['', testLog.sign(text)])
      assert.throws(() => names(strangers), isFault('missing'));
  });

  it('parses sizes of conflicts in their one form', () => {
    assert.equal(parseConflict('0\n'), 0);
    assert.equal(parseConflict('9007199254740991\n'), Number.MAX_SAFE_INTEGER);
    for (const bad of [
      '',
      '\n',
      '7',
      '07\n',
      '7\n\n',
      ' 7\n',
      '-7\n',
      '9007199254740992\n',
      `${'7'.repeat(64)}\n`,
    ])
      assert.throws(() => parseConflict(bad), TextFormError, bad);
  });
});
