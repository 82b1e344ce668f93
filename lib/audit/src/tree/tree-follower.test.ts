import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { agentLogSigner, checkConsistency, emptyRoot, openCheckpoint, type TreeHead } from '@kata-agent/tlog';
import type { AuditLog, SignedHead } from '../audit-log.js';
import { CannotProve } from '../read/prove.js';
import { allowed, denied, openSample, sampleCall } from '../testing/sample.js';

const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
const headOf = ({ checkpoint }: SignedHead): TreeHead =>
  openCheckpoint(checkpoint, { logs: [signer.verifier], witnesses: [] }).head;
const empty: TreeHead = { size: 0, root: emptyRoot };

async function write(log: AuditLog, count: number): Promise<void> {
  const intents = Array.from({ length: count }, (_, index) =>
    log.intent(sampleCall({ subject: { containerId: `c${index}` } }), allowed),
  );
  await Promise.all(intents);
}

test('each step of a follower continues the one before, across rotations', async (t) => {
  const { log } = await openSample(t, { signer, maxSize: 4096, keep: 1 });
  const follower = log.follow();
  await log.boot({});
  assert.equal(follower.hasNext, false);
  let last = empty;
  for (let round = 0; round < 40; round += 1) {
    await write(log, round % 7);
    const signed = await log.checkpointRound();
    if (round % 5 === 3) continue;
    const step = follower.take();
    if (step === undefined) {
      assert.equal(signed.size, last.size);
      continue;
    }
    assert.deepEqual([step.signed, step.from], [signed, last.size]);
    checkConsistency(last, headOf(step.signed), step.proof);
    last = headOf(step.signed);
    assert.equal(follower.take(), undefined);
  }
  follower.close();
});

test('followers of one round take the same tree, whenever they take it and whatever else is signed', async (t) => {
  const { log } = await openSample(t, { signer });
  const followers = [log.follow(), log.follow()];
  await log.boot({});
  await log.checkpointRound();
  followers[0]?.take();
  await write(log, 5);
  const round = await log.checkpointRound();
  await write(log, 5);
  await log.checkpoint();
  for (const follower of followers) assert.deepEqual(follower.take()?.signed, round);
});

test('a tree is proved from each earlier size, as far as rotation has left the records', async (t) => {
  const { log } = await openSample(t, { signer, maxSize: 3000, keep: 3 });
  await log.boot({});
  const heads = [empty, headOf(await log.checkpoint())];
  for (let at = 0; at < 60; at += 1) {
    log.refuse(sampleCall({ method: `m${at}` }), denied);
    const signed = await log.checkpoint();
    for (let size = heads.length; size < signed.size; size += 1) heads.push(empty);
    heads.push(headOf(signed));
  }
  const signed = await log.checkpoint();
  let [proved, gone] = [0, 0];
  for (const [from, head] of heads.entries()) {
    // Of a tree that nobody has signed the root is not known here.
    if (from > 0 && head.size === 0) continue;
    try {
      checkConsistency(head, headOf(signed), await log.proveSince(from, signed));
      proved += 1;
    } catch (error) {
      assert.ok(error instanceof CannotProve, String(error));
      assert.match(error.message, /rotation has removed records/);
      gone += 1;
      assert.equal(proved, 1, 'only the oldest cannot be proved, beside the empty tree');
    }
  }
  assert.ok(proved > 10 && gone > 10, `${proved} ${gone}`);
  await assert.rejects(log.proveSince(signed.size + 1, signed), RangeError);
});

test('a cosigned checkpoint is stored whole, beside the log', async (t) => {
  const { log, file } = await openSample(t, { signer });
  await log.boot({});
  const { checkpoint } = await log.checkpoint();
  for (const text of [`${checkpoint}— long line\n`, checkpoint]) {
    await log.storeCosigned(text);
    assert.equal(readFileSync(`${file}.cosigned`, 'utf8'), text);
  }
});
