import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { AuditUnavailable } from '../audit-log.js';
import { FaultyFiles, type Operation } from '../testing/faulty-files.js';
import { allowed, first, ok, only, openSample, recordsOf, sampleCall } from '../testing/sample.js';
import { verify } from '../read/verify.js';

const call = sampleCall();

/** Records are about 430 bytes each. */
async function fill(
  log: { intent: (c: typeof call, d: typeof allowed) => Promise<number> },
  count: number,
): Promise<void> {
  for (let n = 0; n < count; n += 1) await log.intent(call, allowed);
}

test('a full segment is closed with a summary, and the chain continues in the next', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 2000, keep: 2 });
  await log.boot({});
  await fill(log, 6);
  await log.close();
  const older = recordsOf(`${file}.1`);
  const rotated = first(only(older, 'rotated'));
  assert.equal(older.at(-1), rotated);
  assert.equal(rotated.removed, undefined);
  assert.deepEqual(rotated.segment.after, { sequence: 0, hash: '0'.repeat(64) });
  assert.equal(rotated.segment.last.sequence, rotated.sequence - 1);
  assert.deepEqual(rotated.segment.counts, { ExecProcess: { intent: rotated.sequence - 2 } });
  assert.equal(first(recordsOf(file)).prev, rotated.hash);
  assert.equal((await verify(file)).ok, true);
});

test('no segment exceeds its size plus one record and its summary', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 3000, keep: 9 });
  for (let n = 0; n < 60; n += 1) log.observe(call, allowed, ok);
  await log.close();
  for (const name of readdirSync(dirname(file))) {
    assert.ok(statSync(`${dirname(file)}/${name}`).size < 3000 + 500 + 1000, name);
  }
});

test('removed segments stay as a summary from record 1 on', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 2000, keep: 2 });
  await fill(log, 60);
  await log.close();
  assert.deepEqual(readdirSync(dirname(file)).sort(), [
    'audit.log',
    'audit.log.1',
    'audit.log.2',
    'audit.log.kept',
  ]);
  const report = await verify(file);
  assert.equal(report.ok, true);
  const rotated = only(recordsOf(`${file}.1`), 'rotated').at(-1);
  assert.ok(rotated?.removed !== undefined);
  assert.equal(rotated.removed.last.sequence, report.removed);
  assert.equal(report.first, report.removed + 1);
  assert.equal(rotated.removed.after.sequence, 0);
  const left = report.segments.flatMap(recordsOf);
  const inLog = only(left, 'intent').length;
  assert.equal(inLog + (rotated.removed.counts['ExecProcess']?.['intent'] ?? 0), 60);
});

test('counts continue over a restart within a segment, and a restart may keep fewer segments', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 2000, keep: 4 });
  await fill(log, 22);
  await log.close();
  const again = await openSample(t, { file, maxSize: 2000, keep: 1 });
  await fill(again.log, 6);
  await again.log.close();
  assert.deepEqual(readdirSync(dirname(file)).sort(), ['audit.log', 'audit.log.1', 'audit.log.kept']);
  assert.equal((await verify(file)).ok, true);
  const rotated = only(recordsOf(`${file}.1`), 'rotated').at(-1);
  const left = [`${file}.1`, file].flatMap(recordsOf);
  assert.equal((rotated?.removed?.counts['ExecProcess']?.['intent'] ?? 0) + only(left, 'intent').length, 28);
});

test('a crash at any step of a rotation loses nothing', async (t) => {
  const steps: readonly Operation[] = [
    'write',
    'datasync',
    'rename',
    'unlink',
    'append',
    'allocate',
    'syncDirectory',
  ];
  for (const operation of steps) {
    for (let at = 1; at < 40; at += 1) {
      const files = new FaultyFiles();
      const { log, file } = await openSample(t, { files, maxSize: 1500, keep: 2 });
      let acknowledged = 0;
      let crashed = false;
      files.fail = (what, count) => {
        // From here on every operation fails: the disk is left as after a crash.
        crashed ||= what === operation && count === at;
        return crashed ? 'EIO' : undefined;
      };
      for (let n = 0; n < 20; n += 1) {
        if (crashed) break;
        await log.intent(call, allowed).then(
          (sequence) => (acknowledged = sequence),
          (error: unknown) => assert.ok(error instanceof AuditUnavailable),
        );
      }
      await log.close().then(
        () => undefined,
        () => undefined,
      );
      const during = await verify(file);
      // A crash at the very first write leaves nothing.
      if (during.records > 0) assert.deepEqual(during.problems, [], `${operation} ${at}`);
      const again = await openSample(t, { file, maxSize: 1500, keep: 2 });
      await fill(again.log, 8);
      await again.log.close();
      const after = await verify(file);
      assert.deepEqual(after.problems, [], `${operation} ${at}`);
      assert.ok((after.last ?? 0) >= acknowledged + 8);
      assert.ok(after.segments.length <= 3);
      if (!crashed) break;
    }
  }
});

test('misplaced segments are found', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 3 });
  await fill(log, 12);
  await log.close();
  writeFileSync(`${file}.bak`, '');
  writeFileSync(`${file}.01`, '');
  assert.equal((await verify(file)).ok, true);
  renameSync(`${file}.2`, `${file}.7`);
  assert.equal((await verify(file)).ok, false);
});

test('a closed segment without its last record is not continued', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 3 });
  await fill(log, 12);
  await log.close();
  assert.ok(existsSync(`${file}.2`));
  for (const content of ['', 'x', 'x\n', 'y'.repeat(3 << 20)]) {
    writeFileSync(`${file}.2`, content);
    await assert.rejects(
      openSample(t, { file }),
      /audit\.log\.2 cannot be continued: it does not end as a closed/,
    );
  }
});
