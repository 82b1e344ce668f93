import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  agentLogSigner,
  Frontier,
  leafHash,
  parseCheckpoint,
  parseTlogProof,
  signCheckpoint,
  verifyProof,
} from '@kata-agent/tlog';
import { formatHead, head } from './head.js';
import { leafOf } from '../chain/written-record.js';
import { openAuditLog } from '../open-audit-log.js';
import { inFirstFormat } from '../testing/first-format.js';
import { allowed, ok, openSample, recordsIn, sampleCall } from '../testing/sample.js';
import { prove } from './prove.js';
import { verify } from './verify.js';

test('a log of the first format is verified, continued, and proved by its checkpoints', async (t) => {
  const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const { log: earlier, file } = await openSample(t, { signer });
  await earlier.boot({});
  for (let n = 0; n < 4; n += 1) await earlier.intent(sampleCall(), allowed);
  await earlier.close();
  const lines = inFirstFormat(readFileSync(file, 'latin1').split('\n').slice(0, -1));
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  // As an earlier version signed it: its leaves are the lines.
  const frontier = new Frontier();
  for (const line of lines) frontier.append(leafHash(line));
  const old = signCheckpoint(signer, frontier.head());
  const stored = await head(file);

  const next = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const log = await openAuditLog({ file, maxSize: 1 << 20, keep: 4, bootId: 'boot-2', signer: next });
  await log.boot({});
  log.observe(sampleCall(), allowed, ok);
  const signed = await log.checkpoint();
  await log.close();

  assert.equal((await recordsIn(file)).length, lines.length + 2);
  for (const [checkpoint, key, sequence] of [
    [old, signer.verifier, 2],
    [signed.checkpoint, next.verifier, lines.length + 1],
  ] as const) {
    const trusted = { checkpoint: parseCheckpoint(checkpoint), key, witnesses: [], quorum: 1 };
    const report = await verify(file, { head: stored, checkpoint: trusted });
    assert.deepEqual([report.problems, report.checkpoint?.problem], [[], undefined], formatHead(stored));
    const proof = parseTlogProof(await prove(file, sequence, parseCheckpoint(checkpoint)));
    const line = readFileSync(file, 'latin1').split('\n')[sequence - 1] ?? '';
    verifyProof(proof, leafOf(Buffer.from(line)), { logs: [key], witnesses: [] });
  }
});

test('each changed byte of a log of the first format is found', async (t) => {
  const { log, file } = await openSample(t);
  await log.boot({});
  await log.intent(sampleCall(), allowed);
  await log.close();
  const lines = inFirstFormat(readFileSync(file, 'latin1').split('\n').slice(0, -1));
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  for (let at = 0; at < bytes.length - 1; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(file, changed);
    assert.equal((await verify(file)).ok, false, `byte ${at}`);
  }
});
