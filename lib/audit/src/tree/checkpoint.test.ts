import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import {
  agentLogSigner,
  checkConsistency,
  type LogSigner,
  NoteSignatureError,
  parseAgentLogCheckpoint,
  parseCheckpoint,
  parseTlogProof,
  proveConsistency,
  verifyProof,
  WitnessSigner,
} from '@kata-agent/tlog';
import type { SignedHead } from '../audit-log.js';
import { leafOf } from '../chain/chain.js';
import { openAuditLog } from '../open-audit-log.js';
import { CannotProve, prove } from '../read/prove.js';
import { verify } from '../read/verify.js';
import { allowed, first, ok, only, openSample, recordsOf, sampleCall } from '../testing/sample.js';
import type { CheckedCheckpoint, TrustedCheckpoint } from './checkpoint-check.js';
import { TreeReader } from './tree-reader.js';

const call = sampleCall();

function signer(): LogSigner {
  return agentLogSigner(generateKeyPairSync('ed25519').privateKey);
}

/** Writes a log of so many records, and signs it. */
async function written(
  t: TestContext,
  records: number,
  options: { readonly maxSize?: number; readonly keep?: number } = {},
): Promise<{ readonly file: string; readonly signed: SignedHead; readonly key: LogSigner }> {
  const key = signer();
  const { log, file } = await openSample(t, { signer: key, ...options });
  await log.boot({});
  for (let n = 1; n < records; n += 1) log.observe(call, allowed, ok);
  const signed = await log.checkpoint();
  await log.close();
  return { file, signed, key };
}

async function checked(
  file: string,
  { checkpoint }: SignedHead,
  more: Partial<TrustedCheckpoint>,
): Promise<CheckedCheckpoint> {
  const keys = { key: undefined, witnesses: [], quorum: 1 };
  const options = { checkpoint: parseCheckpoint(checkpoint), ...keys, ...more };
  const report = await verify(file, { checkpoint: options });
  assert.ok(report.checkpoint);
  assert.equal(report.ok, report.problems.length === 0 && report.checkpoint.problem === undefined);
  return report.checkpoint;
}

describe('a checkpoint', () => {
  for (const records of [1, 2, 3, 1_000])
    it(`covers the records of a log of ${records}, and each is proved`, async (t) => {
      const { file, signed, key } = await written(t, records, { maxSize: 100_000, keep: 9 });
      assert.equal(signed.first, 1);
      const { problem, trust, last } = await checked(file, signed, { key: key.verifier });
      assert.equal(problem, undefined);
      assert.deepEqual(trust, { kind: 'pinned' });
      assert.equal(last, signed.size);
      const segments = Array.from({ length: 9 }, (_, at) => `${file}.${9 - at}`).filter((path) =>
        existsSync(path),
      );
      const lines = [...segments, file].flatMap((path) =>
        readFileSync(path, 'latin1').split('\n').slice(0, -1),
      );
      const checkpoint = parseCheckpoint(signed.checkpoint);
      for (let sequence = 1; sequence <= signed.size; sequence += Math.ceil(signed.size / 20)) {
        const proof = parseTlogProof(await prove(file, sequence, checkpoint));
        const leaf = leafOf(Buffer.from(lines[sequence - 1] ?? ''));
        const keys = { logs: [key.verifier], witnesses: [] };
        assert.equal(verifyProof(proof, leaf, keys).head.size, signed.size);
        assert.throws(() => verifyProof(proof, `${leaf.toString()} `, keys));
      }
    });

  it('finds each changed byte of a log, each cut, and each line that is removed or moved', async (t) => {
    const { file, signed, key } = await written(t, 4);
    const bytes = readFileSync(file);
    const refused = async (changed: Uint8Array, what: string): Promise<void> => {
      writeFileSync(file, changed);
      assert.notEqual((await checked(file, signed, { key: key.verifier })).problem, undefined, what);
    };
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await refused(changed, `byte ${at}`);
    }
    const lines = bytes.toString('latin1').split('\n').slice(0, -1);
    for (const [at, line] of lines.entries()) {
      const others = lines.filter((each) => each !== line);
      await refused(Buffer.from(others.map((each) => `${each}\n`).join('')), `without line ${at}`);
      const bare = lines.with(at, line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}'));
      await refused(Buffer.from(bare.map((each) => `${each}\n`).join('')), `line ${at} without its hash`);
      const moved = [...others, line];
      if (at < lines.length - 1)
        await refused(Buffer.from(moved.map((each) => `${each}\n`).join('')), `line ${at} moved`);
      await refused(
        Buffer.from(
          lines
            .slice(0, at)
            .map((each) => `${each}\n`)
            .join(''),
        ),
        `cut at ${at}`,
      );
    }
    writeFileSync(file, bytes);
    assert.equal((await checked(file, signed, { key: key.verifier })).problem, undefined);
  });

  it('finds a log that another one with a right chain has replaced', async (t) => {
    const { signed, key } = await written(t, 3);
    const other = await written(t, 3);
    const { problem } = await checked(other.file, signed, { key: key.verifier });
    assert.match(problem ?? '', /no boot record of this log names the key of the checkpoint/);
  });

  it('leaves the queue to records, however many ask for it', async (t) => {
    const { log, file } = await openSample(t, { signer: signer() });
    await log.boot({});
    const asked = Array.from({ length: 20_000 }, () => log.checkpoint());
    log.observe(call, allowed, ok);
    const later = log.checkpoint();
    await Promise.all(asked);
    assert.equal((await later).size, 2);
    await log.close();
    assert.deepEqual(
      recordsOf(file).map(({ kind }) => kind),
      ['boot', 'call'],
    );
  });

  it('is of one start: the next has a log of its own', async (t) => {
    const { file, signed, key } = await written(t, 3);
    const second = signer();
    const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 4, bootId: 'boot-1', signer: second });
    await log.boot({});
    const again = await log.checkpoint();
    await log.close();
    assert.deepEqual([again.first, again.size], [4, 1]);
    assert.equal((await checked(file, again, { key: second.verifier })).problem, undefined);
    assert.equal((await checked(file, signed, { key: key.verifier })).problem, undefined);
    const proof = parseTlogProof(await prove(file, 4, parseCheckpoint(again.checkpoint)));
    assert.equal(proof.index, 0);
    await assert.rejects(
      prove(file, 4, parseCheckpoint(signed.checkpoint)),
      /the checkpoint covers records 1 to 3: not record 4/,
    );
  });

  it('continues when rotation has removed records, whose proofs somebody else can make', async (t) => {
    const key = signer();
    const { log, file } = await openSample(t, { signer: key, maxSize: 2_000, keep: 2 });
    await log.boot({});
    const heads: SignedHead[] = [];
    for (let n = 0; n < 60; n += 1) {
      await log.intent(call, allowed);
      heads.push(await log.checkpoint());
    }
    await log.close();
    const newest = heads.at(-1);
    assert.ok(newest);
    const rotated = first(only(recordsOf(`${file}.1`), 'rotated'));
    const removed = rotated.removed?.last.sequence ?? 0;
    assert.ok(removed > 10, `${removed}`);
    assert.equal(rotated.removed?.tree?.first, 1);
    assert.equal((await checked(file, newest, { key: key.verifier })).problem, undefined);
    const checkpoint = parseCheckpoint(newest.checkpoint);
    for (let sequence = removed + 1; sequence <= newest.size; sequence += 1)
      assert.equal(parseTlogProof(await prove(file, sequence, checkpoint)).index, sequence - 1);
    await assert.rejects(prove(file, removed, checkpoint), CannotProve);
    const trees = new TreeReader();
    for (const path of [`${file}.2`, `${file}.1`, file])
      for (const [at, record] of recordsOf(path).entries())
        trees.line(Buffer.from(readFileSync(path, 'latin1').split('\n')[at] ?? '', 'latin1'), record);
    const [tree] = trees.trees();
    assert.ok(tree);
    for (const head of heads) {
      const old = parseCheckpoint(head.checkpoint).head;
      if (old.size >= removed)
        checkConsistency(old, checkpoint.head, proveConsistency(old.size, newest.size, tree.source));
      const { problem, coversKept } = await checked(file, head, { key: key.verifier });
      // A rotation after it names the kept records.
      assert.equal(coversKept, old.size >= rotated.sequence);
      if (old.size >= rotated.sequence) assert.equal(problem, undefined);
      else if (old.size > removed)
        assert.match(
          problem ?? '',
          new RegExp(`records 1 to ${removed} are gone, and only record ${rotated.sequence} says`),
        );
      else assert.match(problem ?? '', /cannot be compared: rotation has removed/);
    }
  });

  it('is worth as much as the keys that the caller knows', async (t) => {
    const { file, signed, key } = await written(t, 3);
    const witnesses = ['one', 'two'].map(
      (name) => new WitnessSigner(`witness.example/${name}`, generateKeyPairSync('ed25519').privateKey),
    );
    const [text = ''] = signed.checkpoint.split('\n\n');
    const cosigned = { ...signed, checkpoint: signed.checkpoint };
    for (const each of witnesses) cosigned.checkpoint += each.cosign(`${text}\n`, 1_700_000_000);
    const verifiers = witnesses.map((each) => each.verifier);
    const self = await checked(file, signed, {});
    assert.deepEqual(self.trust, { kind: 'self-signed' });
    assert.match(self.problem ?? '', /self-signed only/);
    const { head } = parseAgentLogCheckpoint(signed.checkpoint);
    const bound = await checked(file, signed, { key: key.verifier, bound: head });
    assert.deepEqual([bound.trust, bound.problem], [{ kind: 'evidence' }, undefined]);
    for (const other of [
      { ...head, size: head.size - 1 },
      {
        ...head,
        root: head.root.replace(/^../, head.root.startsWith('00') ? '11' : '00') as typeof head.root,
      },
    ]) {
      const unbound = await checked(file, signed, { key: key.verifier, bound: other });
      assert.match(unbound.problem ?? '', /the evidence binds another tree of this key/);
    }
    const both = await checked(file, cosigned, { witnesses: verifiers, quorum: 2 });
    assert.deepEqual([both.trust, both.problem], [{ kind: 'witnesses', count: 2 }, undefined]);
    assert.deepEqual(both.witnesses[0], { name: 'witness.example/one', time: 1_700_000_000 });
    const few = await checked(file, cosigned, { witnesses: verifiers.slice(1), quorum: 2 });
    assert.match(few.problem ?? '', /cosigned by 1 of 2 witnesses/);
    const pinned = await checked(file, cosigned, {
      key: key.verifier,
      witnesses: verifiers.slice(1),
      quorum: 2,
    });
    assert.match(pinned.problem ?? '', /cosigned by 1 of 2 witnesses/);
    const wrong = await checked(file, signed, { key: signer().verifier });
    assert.match(wrong.problem ?? '', /no known key has signed it/);
    const proof = parseTlogProof(await prove(file, 2, parseCheckpoint(cosigned.checkpoint), verifiers));
    const line = Buffer.from(readFileSync(file, 'latin1').split('\n')[1] ?? '');
    const { witnesses: seen } = verifyProof(proof, leafOf(line), {
      logs: [key.verifier],
      witnesses: verifiers,
    });
    assert.equal(seen.length, 2);
    const forged = signed.checkpoint.replace(/\n3\n/, '\n2\n');
    await assert.rejects(prove(file, 2, parseCheckpoint(forged)), NoteSignatureError);
  });
});
