import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { genesis, seal } from '../chain/chain.js';
import { allowed, openSample, sampleCall } from '../testing/sample.js';
import { linkedRecords } from './link-check.js';

async function* groupsOf(lines: readonly Uint8Array[]): AsyncGenerator<readonly Uint8Array[]> {
  yield lines.slice(0, 2);
  yield lines.slice(2);
}

async function problemsOf(lines: readonly Uint8Array[], from?: number): Promise<readonly string[]> {
  const problems: string[] = [];
  for await (const read of linkedRecords(groupsOf(lines), from)) if (!read.ok) problems.push(read.what);
  return problems;
}

test('each record must follow the one before', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 100_000, keep: 1 });
  for (let n = 0; n < 5; n += 1) await log.intent(sampleCall(), allowed);
  await log.close();
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Buffer.from(line));
  const [first, second, third] = lines;
  assert.ok(first && second && third);
  assert.deepEqual(await problemsOf(lines), []);
  assert.deepEqual(await problemsOf(lines.slice(2)), [], 'from any record');
  assert.deepEqual(await problemsOf(lines.slice(2), 3), [], 'from the requested record');
  assert.match(
    (await problemsOf(lines.slice(2), 2)).join(),
    /^record 3: records 2 to 2 are missing; rotation removed them, or they were withheld$/,
  );
  assert.match((await problemsOf(lines.toSpliced(1, 2))).join(), /^record 4: records 2 to 3 are missing/);
  assert.match(
    (await problemsOf(lines.toSpliced(2, 0, second))).join(),
    /^record 2: out of order or repeated/,
  );
  const changed = Buffer.from(second.toString().replace('"kind"', '"kinD"'));
  assert.match((await problemsOf([first, changed])).join(), /its hash does not match/);
  const other = await openSample(t, { maxSize: 100_000, keep: 1 });
  for (let n = 0; n < 5; n += 1) await other.log.intent(sampleCall(), allowed);
  await other.log.close();
  const forked = readFileSync(other.file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Buffer.from(line));
  assert.match(
    (await problemsOf([...lines.slice(0, 2), ...forked.slice(2)])).join(),
    /^record 3: it does not contain the hash of record 2$/,
  );
});

test('a line with a valid hash that is not written as records are is damaged', async () => {
  const sealed = seal({ kind: 'boot', facts: {} }, genesis, { boot: 'b', monotonic: 1n, wall: 'w' });
  const written = sealed.line.trimEnd();
  assert.deepEqual(await problemsOf([Buffer.from(written)]), []);
  const rehashed = (body: string): Buffer =>
    Buffer.from(`${body},"hash":"${createHash('sha256').update(`\0${body}}`).digest('hex')}"}`);
  const body = written.slice(0, written.lastIndexOf(',"hash":'));
  for (const other of [
    body.replace('"prev"', '\n"prev"'),
    body.replace('"w"', '"\u00fc"'),
    body.replace('"sequence":1', '"boot":"b","sequence":1'),
    body.replace('"boot":"b"', '"boot":"b","sequence":7'),
  ])
    assert.match((await problemsOf([rehashed(other)])).join(), /not written as records are/, other);
});
