import assert from 'node:assert/strict';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Read } from '../chain/chain.js';
import { follow, type FollowOptions, readLog } from './follow.js';
import { allowed, openSample, recordsOf, sampleCall, temporaryDirectory, until } from '../testing/sample.js';

/** Follows a log until stopped; records are collected in `seen`. */
function start(
  file: string,
  options: FollowOptions = {},
): { seen: (number | string)[]; stop(): Promise<void> } {
  const controller = new AbortController();
  const seen: (number | string)[] = [];
  const done = (async (): Promise<void> => {
    for await (const read of follow(file, { ...options, signal: controller.signal, intervalMs: 1 })) {
      seen.push(read.ok ? read.record.sequence : read.what);
    }
  })();
  return {
    seen,
    async stop() {
      controller.abort();
      await done;
    },
  };
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test('readLog yields the existing records, damaged lines included', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 2 });
  for (let n = 0; n < 10; n += 1) await log.intent(sampleCall(), allowed);
  await log.close();
  const end = recordsOf(file).at(-1)?.sequence;
  writeFileSync(file, 'nothing of ours\n', { flag: 'a' });
  const seen: Read[] = [];
  for await (const read of readLog(file)) seen.push(read);
  const last = seen.at(-1);
  assert.equal(last?.ok, false);
  const sequences = seen.flatMap((read) => (read.ok ? [read.record.sequence] : []));
  assert.deepEqual(sequences, numbers(sequences[0] ?? 0, sequences.at(-1) ?? 0));
  assert.equal(sequences.at(-1), end);
});

test('follow yields all records once and in order, across rotations', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 50 });
  await log.intent(sampleCall(), allowed);
  const following = start(file);
  for (let n = 0; n < 60; n += 1) await log.intent(sampleCall(), allowed);
  await log.close();
  const last = recordsOf(file).at(-1)?.sequence ?? 0;
  await until(() => following.seen.at(-1) === last);
  await following.stop();
  assert.deepEqual(following.seen, numbers(1, last));
});

test('follow from the end yields new records only', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 9 });
  for (let n = 0; n < 6; n += 1) await log.intent(sampleCall(), allowed);
  const before = recordsOf(file).at(-1)?.sequence ?? 0;
  const following = start(file, { from: 'end' });
  // Following starts with the first read, so records are added until one is seen.
  while (following.seen.length === 0) await log.intent(sampleCall(), allowed);
  await following.stop();
  assert.ok(Number(following.seen[0]) > before);
});

test('follow from a sequence number yields that record and those after it, across rotations', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 9 });
  for (let n = 0; n < 20; n += 1) await log.intent(sampleCall(), allowed);
  const last = recordsOf(file).at(-1)?.sequence ?? 0;
  for (const from of [1, 2, last - 7, last, last + 2]) {
    const following = start(file, { from });
    await until(() => from > last || following.seen.at(-1) === last);
    await following.stop();
    assert.deepEqual(following.seen, from > last ? [] : numbers(from, last));
  }
  const later = start(file, { from: last + 2 });
  for (let n = 0; n < 3; n += 1) await log.intent(sampleCall(), allowed);
  const end = recordsOf(file).at(-1)?.sequence ?? 0;
  await until(() => later.seen.at(-1) === end);
  await later.stop();
  assert.deepEqual(later.seen, numbers(last + 2, end));
});

test('a reader whose segment was removed continues with the oldest', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 1500, keep: 1 });
  await log.intent(sampleCall(), allowed);
  const iterator = follow(file, { intervalMs: 1 });
  assert.deepEqual((await iterator.next()).done, false);
  for (let n = 0; n < 30; n += 1) await log.intent(sampleCall(), allowed);
  const oldest = recordsOf(`${file}.1`)[0]?.sequence ?? 0;
  const sequences: number[] = [];
  while (sequences.at(-1) !== oldest) {
    const { value } = await iterator.next();
    if (value?.ok === true) sequences.push(value.record.sequence);
  }
  await iterator.return(undefined);
  assert.ok(oldest > 10);
  assert.deepEqual(
    sequences.toSorted((a, b) => a - b),
    sequences,
  );
});

test('bytes that the writer truncated are not waited for', async (t) => {
  const { log, file } = await openSample(t);
  await log.intent(sampleCall(), allowed);
  const { length } = JSON.stringify(recordsOf(file)[0]);
  const following = start(file);
  await until(() => following.seen.length === 1);
  writeFileSync(file, 'x'.repeat(5000), { flag: 'a' });
  // Gives the reader time to see it. If it does not, the test covers less but does not fail.
  await sleep(20);
  truncateSync(file, length + 1);
  await log.intent(sampleCall(), allowed);
  await until(() => following.seen.length > 1);
  await following.stop();
  assert.deepEqual(following.seen, [1, 2]);
});

test('a missing log is an error; one that disappears is waited for', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  await assert.rejects(follow(file).next(), /there is no audit log/);
  const { log } = await openSample(t, { file });
  await log.intent(sampleCall(), allowed);
  const following = start(file);
  await until(() => following.seen.length === 1);
  rmSync(file);
  await sleep(10);
  await following.stop();
  assert.deepEqual(following.seen, [1]);
});
