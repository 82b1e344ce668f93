import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  agentLogSigner,
  checkConsistency,
  checkInclusion,
  completeSubtrees,
  formatTlogProof,
  Frontier,
  type HashSource,
  leafHash,
  openCheckpoint,
  parseTlogProof,
  parseVerifier,
  proveConsistency,
  proveInclusion,
  signCheckpoint,
  type TreeHash,
  type TreeHead,
  treeHashOfBytes,
  verifyProof,
  WitnessSigner,
} from '@kata-agent/tlog';
import { build } from './artifacts.js';
import {
  type Answer,
  askGo,
  hashesOf,
  openQuestion,
  proofQuestion,
  type Question,
  recordQuestion,
  treeQuestion,
} from './tlog-peer.js';

const built = build('tlog-peer');
const sizes = [1, 2, 3, 1000, 100_000];
const time = 1_700_000_000;

interface Tree {
  readonly size: number;
  readonly source: HashSource;
  readonly head: TreeHead;
  /** Some old sizes, and the heads of then. */
  readonly old: readonly TreeHead[];
  /** Some leaves. */
  readonly indices: readonly number[];
}

const recordOf = (index: number): string => `record ${index}`;

/** The tree of the leaves `record 0`, `record 1`, …, appended one by one. */
function treeOf(size: number): Tree {
  const some = [1, 2, size >> 2, (size >> 1) + 1, size - 1, size];
  for (let power = 4; power < size; power *= 4) some.push(power, power + 1, size - power);
  const oldSizes = [...new Set(some)].filter((old) => old >= 1 && old <= size).sort((a, b) => a - b);
  const hashes = new Map<string, TreeHash>();
  const frontier = new Frontier();
  const old: TreeHead[] = [];
  for (let index = 0; index < size; index += 1) {
    frontier.append(leafHash(recordOf(index)), (level, at, hash) => hashes.set(`${level}/${at}`, hash));
    if (oldSizes.includes(index + 1)) old.push(frontier.head());
  }
  const source: HashSource = (level, index) => hashes.get(`${level}/${index}`);
  return { size, source, head: frontier.head(), old, indices: oldSizes.map((each) => each - 1) };
}

/** The source of a log of which the first records are gone: the roots of their subtrees are left. */
function rotated({ source }: Tree, removed: number): HashSource {
  const kept = completeSubtrees({ from: 0, to: removed }).map(({ level, index }) => `${level}/${index}`);
  const roots = new Set(kept);
  return (level, index) =>
    index * 2 ** level >= removed || roots.has(`${level}/${index}`) ? source(level, index) : undefined;
}

/** Returns a proof with its last hash changed, without it, and with one more; for an empty one with one more. */
function changed(proof: readonly TreeHash[]): readonly (readonly TreeHash[])[] {
  const more = [...proof, leafHash('more')];
  return proof.length === 0 ? [more] : [more, proof.slice(0, -1), [...proof.slice(0, -1), leafHash('other')]];
}

describe("Go's transparency log", { skip: built.ok ? false : built.missing }, () => {
  const trees = built.ok ? sizes.map(treeOf) : [];
  const ask = async (questions: readonly Question[]): Promise<readonly Answer[]> => {
    assert.ok(built.ok);
    return askGo(built.path('tlog-peer'), questions);
  };
  const accepted = async (questions: readonly Question[]): Promise<void> => {
    const answers = await ask(questions);
    assert.deepEqual(
      answers.map(({ error }) => error),
      questions.map(() => undefined),
    );
  };
  const refused = async (questions: readonly Question[]): Promise<void> => {
    for (const [at, { error }] of (await ask(questions)).entries())
      assert.ok(error !== undefined, JSON.stringify(questions[at]));
  };

  it('has the same roots and the same proofs', async () => {
    const answers = await ask(
      trees.map(({ size, old, indices }) => ({
        kind: 'log',
        size,
        indices,
        oldSizes: old.map((each) => each.size),
      })),
    );
    for (const [at, { size, source, head, old, indices }] of trees.entries()) {
      const { roots, records = [], trees: proofs = [] } = answers[at] ?? {};
      assert.deepEqual(
        hashesOf(roots),
        [...old, head].map(({ root }) => root),
      );
      for (const [nth, index] of indices.entries()) {
        const theirs = hashesOf(records[nth]);
        checkInclusion(index, leafHash(recordOf(index)), head, theirs);
        assert.deepEqual(theirs, proveInclusion(index, size, source));
      }
      for (const [nth, before] of old.entries()) {
        const theirs = hashesOf(proofs[nth]);
        checkConsistency(before, head, theirs);
        assert.deepEqual(theirs, proveConsistency(before.size, size, source));
      }
    }
  });

  it('accepts our proofs, and refuses changed ones', async () => {
    const right: Question[] = [];
    const wrong: Question[] = [];
    for (const { size, source, head, old, indices } of trees) {
      for (const index of indices) {
        const proof = proveInclusion(index, size, source);
        right.push(recordQuestion(proof, head, index, recordOf(index)));
        wrong.push(recordQuestion(proof, head, index, 'another record'));
        wrong.push(...changed(proof).map((bad) => recordQuestion(bad, head, index, recordOf(index))));
      }
      for (const before of old) {
        const proof = proveConsistency(before.size, size, source);
        right.push(treeQuestion(proof, head, before));
        wrong.push(...changed(proof).map((bad) => treeQuestion(bad, head, before)));
        wrong.push(treeQuestion(proof, head, { ...before, root: leafHash('other') }));
      }
    }
    await accepted(right);
    await refused(wrong);
  });

  it('accepts proofs of a log whose first records were rotated away', async () => {
    const questions: Question[] = [];
    for (const tree of trees.slice(3)) {
      const removed = Math.floor(tree.size * 0.4) + 1;
      const source = rotated(tree, removed);
      for (const index of tree.indices.filter((each) => each >= removed))
        questions.push(
          recordQuestion(proveInclusion(index, tree.size, source), tree.head, index, recordOf(index)),
        );
      for (const old of tree.old.filter(({ size }) => size >= removed))
        questions.push(treeQuestion(proveConsistency(old.size, tree.size, source), tree.head, old));
    }
    assert.ok(questions.length > 20);
    await accepted(questions);
  });

  const { privateKey } = generateKeyPairSync('ed25519');
  const log = agentLogSigner(privateKey);
  const witness = new WitnessSigner('witness.example/w1', generateKeyPairSync('ed25519').privateKey);
  const keys = { logs: [log.verifier], witnesses: [witness.verifier] };
  const vkeys = [log.verifier, witness.verifier].map(String);

  /** Returns a checkpoint with a signature and a cosignature. */
  function cosigned(head: TreeHead): string {
    const signed = signCheckpoint(log, head);
    return signed + witness.cosign(openCheckpoint(signed, keys).text, time);
  }

  it('opens our checkpoints with cosignatures, and refuses changed ones', async () => {
    const answers = await ask(trees.map(({ head }) => openQuestion(cosigned(head), vkeys)));
    for (const [at, { head }] of trees.entries()) {
      assert.deepEqual(answers[at], {
        text: Buffer.from(openCheckpoint(cosigned(head), keys).text).toString('base64'),
        signed: [log.verifier.name, witness.verifier.name],
      });
    }
    const [{ head } = assert.fail()] = trees;
    const note = cosigned(head);
    const { text } = openCheckpoint(note, keys);
    const change = (at: number): string =>
      `${note.slice(0, at)}${note[at] === 'A' ? 'B' : 'A'}${note.slice(at + 1)}`;
    const ends = [...note.matchAll(/=?=?\n/g)].map(({ index }) => index - 10).slice(-2);
    const places = [...Array(text.length).keys()].filter((at) => note[at] !== '\n');
    await refused([...places, ...ends].map((at) => openQuestion(change(at), vkeys)));
  });

  it('verifies our files of a proof', async () => {
    const questions = trees.flatMap(({ size, source, head, indices }) =>
      indices.map((index) => {
        const checkpoint = openCheckpoint(cosigned(head), keys);
        const inclusion = proveInclusion(index, size, source);
        const text = formatTlogProof({ index, inclusion, checkpoint });
        assert.deepEqual(verifyProof(parseTlogProof(text), recordOf(index), keys).head, head);
        return proofQuestion(text, vkeys, recordOf(index));
      }),
    );
    await accepted(questions);
    await refused(questions.map((each) => (each.kind === 'proof' ? { ...each, leaf: 'AAAA' } : each)));
  });

  it('signs checkpoints that we open, under the name that we give its key', async () => {
    const answers = await ask(
      trees.map(({ head }) => ({
        kind: 'sign',
        size: head.size,
        root: Buffer.from(head.root, 'hex').toString('base64'),
      })),
    );
    for (const [at, { head }] of trees.entries()) {
      const { text = '', key = '' } = answers[at] ?? {};
      const verifier = parseVerifier(key);
      assert.ok(verifier.type === 'ed25519');
      assert.equal(String(verifier), key);
      const note = Buffer.from(text, 'base64');
      const opened = openCheckpoint(note, { logs: [verifier], witnesses: [] });
      assert.deepEqual(opened.head, head);
      assert.match(opened.origin, /^kata-agent\/[0-9a-f]{64}$/);
      const forged = Buffer.from(note.toString().replace(`\n${head.size}\n`, `\n${head.size + 1}\n`));
      assert.throws(() => openCheckpoint(forged, { logs: [verifier], witnesses: [] }), /is not valid/);
    }
  });

  it('hashes leaves of any bytes alike', async () => {
    const leaf = 'ü\u0000\n'.repeat(10_000);
    const root = leafHash(leaf);
    assert.equal(treeHashOfBytes(Buffer.from(root, 'hex')), root);
    await accepted([recordQuestion([], { size: 1, root }, 0, leaf)]);
  });
});
