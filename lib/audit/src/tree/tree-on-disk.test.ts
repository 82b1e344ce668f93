import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { agentLogSigner, Frontier, type LogSigner, openCheckpoint } from '@kata-agent/tlog';
import { AuditUnavailable, type SignedHead } from '../audit-log.js';
import { lineHashes } from '../chain/chain.js';
import { openAuditLog } from '../open-audit-log.js';
import { verify } from '../read/verify.js';
import { FaultyFiles, type Operation } from '../testing/faulty-files.js';
import { allowed, denied, ok, openSample, sampleCall, temporaryDirectory } from '../testing/sample.js';

const call = sampleCall();

function signer(): LogSigner {
  return agentLogSigner(generateKeyPairSync('ed25519').privateKey);
}

/** Compares a checkpoint with the lines that are on disk from the boot record on. No record may be removed. */
async function assertIsOnDisk(file: string, key: LogSigner, signed: SignedHead): Promise<void> {
  const { head } = openCheckpoint(signed.checkpoint, { logs: [key.verifier], witnesses: [] });
  const { segments, problems } = await verify(file);
  assert.deepEqual(problems, []);
  const lines = segments.flatMap((path) => readFileSync(path, 'latin1').split('\n').slice(0, -1));
  const boot = lines.findIndex((line) => line.includes(`"logKey":"${key.verifier.toString()}"`));
  assert.notEqual(boot, -1);
  const frontier = new Frontier();
  for (const line of lines.slice(boot, boot + head.size)) frontier.append(lineHashes(Buffer.from(line)).leaf);
  assert.deepEqual(frontier.head(), head);
  assert.equal(signed.first, boot + 1);
  assert.equal(signed.size, head.size);
}

test('a start whose first write closes a full segment has its boot record as leaf 0', async (t: TestContext) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const { log: before } = await openSample(t, { file });
  await before.boot({});
  await before.intent(call, allowed);
  await before.close();
  const key = signer();
  const log = await openAuditLog({ file, maxSize: 100, keep: 9, bootId: 'boot-2', signer: key });
  await log.boot({});
  await log.intent(call, allowed);
  const signed = await log.checkpoint();
  await log.close();
  await assertIsOnDisk(file, key, signed);
});

test('records before the boot record are of no tree', async (t: TestContext) => {
  const key = signer();
  const { log, file, clock } = await openSample(t, { signer: key, heartbeatMs: 1_000 });
  clock.pass(1_000);
  await log.flush();
  await assert.rejects(log.checkpoint(), AuditUnavailable);
  await log.boot({});
  const signed = await log.checkpoint();
  assert.deepEqual([signed.first, signed.size], [2, 1]);
  await log.close();
  await assertIsOnDisk(file, key, signed);
});

test('under any failure, a checkpoint has the records that are on disk, and no others', async (t: TestContext) => {
  const operations: readonly Operation[] = [
    'write',
    'datasync',
    'truncate',
    'rename',
    'unlink',
    'append',
    'syncDirectory',
    'allocate',
  ];
  const fault = fc.record({ operation: fc.constantFrom(...operations), at: fc.nat(40), bytes: fc.nat(600) });
  const property = fc.asyncProperty(
    fc.array(fault, { maxLength: 12 }),
    fc.array(fc.nat(5), { minLength: 20, maxLength: 60 }),
    async (faults, steps) => {
      const files = new FaultyFiles();
      const key = signer();
      const { log, file } = await openSample(t, { files, maxSize: 2048, keep: 99, signer: key });
      await log.boot({});
      files.fail = (operation, count) => {
        const found = faults.find((candidate) => candidate.operation === operation && candidate.at === count);
        files.partialBytes = found?.bytes ?? 0;
        return found === undefined ? undefined : 'ENOSPC';
      };
      const heads: SignedHead[] = [];
      const unavailable = (error: unknown): void => assert.ok(error instanceof AuditUnavailable);
      const waiting: Promise<unknown>[] = [];
      for (const [index, step] of steps.entries()) {
        const some = sampleCall({ subject: { containerId: `c${index}` }, urgent: step === 4 });
        if (step === 0) log.observe(some, allowed, ok);
        if (step === 1) log.refuse(some, denied);
        if (step === 2) waiting.push(log.checkpoint().then((head) => heads.push(head), unavailable));
        if (step === 3 || step === 4) await log.intent(some, allowed).then(undefined, unavailable);
        if (step === 5) waiting.push(log.intent(some, allowed).then(undefined, unavailable));
      }
      await Promise.all(waiting);
      files.fail = () => undefined;
      await log.flush();
      heads.push(await log.checkpoint());
      await log.close();
      assert.equal(heads.at(-1)?.size, (await verify(file)).records);
      for (const head of heads) await assertIsOnDisk(file, key, head);
    },
  );
  await fc.assert(property, { numRuns: runs(60) });
});
