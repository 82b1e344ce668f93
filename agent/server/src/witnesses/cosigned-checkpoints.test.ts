import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  addCosignatures,
  agentLogSigner,
  type Checkpoint,
  emptyRoot,
  openCheckpoint,
  signCheckpoint,
  WitnessSigner,
} from '@kata-agent/tlog';
import { CosignedCheckpoints } from './cosigned-checkpoints.js';

const newKey = (): ReturnType<typeof generateKeyPairSync>['privateKey'] =>
  generateKeyPairSync('ed25519').privateKey;
const log = agentLogSigner(newKey());
const witnesses = ['w1', 'w2', 'w3'].map((name) => new WitnessSigner(name, newKey()));
const verifiers = witnesses.map(({ verifier }) => verifier);

function cosigned(size: number, by: number, time = 1_700_000_000): Checkpoint {
  const head = { size, root: emptyRoot };
  const signed = openCheckpoint(signCheckpoint(log, head), { logs: [log.verifier], witnesses: [] });
  return addCosignatures(signed, witnesses[by]?.cosign(signed.text, time) ?? '', verifiers);
}

const signers = (text: string | undefined): readonly string[] =>
  openCheckpoint(text ?? '', { logs: [log.verifier], witnesses: verifiers }).witnesses.map(
    ({ by }) => by.name,
  );

test('the quorum must have cosigned one checkpoint', () => {
  const all = new CosignedCheckpoints(2);
  assert.equal(all.add(cosigned(5, 0)), false);
  assert.equal(all.add(cosigned(7, 1)), false);
  assert.equal(all.add(cosigned(5, 0, 1_700_000_009)), false, 'one witness counts once');
  assert.equal(all.add(cosigned(5, 1)), true);
  assert.deepEqual([all.newest?.size, signers(all.newest?.text)], [5, ['w1', 'w2']]);
});

test('the newest stays, and gets the cosignatures that come later', () => {
  const all = new CosignedCheckpoints(1);
  assert.equal(all.add(cosigned(7, 0)), true);
  assert.equal(all.add(cosigned(5, 1)), false);
  assert.equal(all.add(cosigned(7, 2)), true);
  assert.deepEqual([all.newest?.size, signers(all.newest?.text)], [7, ['w1', 'w3']]);
});

test('few checkpoints wait for their quorum', () => {
  const all = new CosignedCheckpoints(2);
  for (let size = 1; size <= 33; size += 1) all.add(cosigned(size, 0));
  assert.equal(all.add(cosigned(1, 1)), false, 'the oldest is forgotten');
  assert.equal(all.add(cosigned(3, 1)), true);
});
