import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { genesis } from '../chain/chain.js';
import { formatHead, head, parseHead } from './head.js';
import { allowed, openSample, recordsOf, sampleCall } from '../testing/sample.js';

test('the head is the last complete record, even before an empty segment', async (t) => {
  const { log, file } = await openSample(t);
  assert.deepEqual(await head(file), genesis);
  await log.boot({ long: 'x'.repeat(60_000) });
  await log.intent(sampleCall(), allowed);
  const last = recordsOf(file).at(-1);
  assert.deepEqual(await head(file), { sequence: 2, hash: last?.hash });
  await log.boot({ long: 'x'.repeat(60_000) });
  assert.equal((await head(file)).sequence, 3);
  writeFileSync(file, '{"torn', { flag: 'a' });
  assert.equal((await head(file)).sequence, 3);
});

test('the head of a log right after rotation is in its closed segment', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 400 });
  await log.intent(sampleCall(), allowed);
  await log.intent(sampleCall(), allowed);
  await log.close();
  writeFileSync(file, '');
  assert.equal((await head(file)).sequence, recordsOf(`${file}.1`).at(-1)?.sequence);
});

test('a log that does not end in a record has no head', async (t) => {
  const { file } = await openSample(t);
  writeFileSync(file, 'something else\n');
  await assert.rejects(head(file), /has no head: its last line is not a record.*run verify/);
});

test('formats and parses heads', () => {
  const position = { sequence: 12, hash: 'ab'.repeat(32) };
  assert.equal(formatHead(position), `12:${'ab'.repeat(32)}`);
  assert.deepEqual(parseHead(formatHead(position)), position);
  assert.deepEqual(parseHead(formatHead(genesis)), genesis);
  for (const text of [
    '',
    '12',
    `12:${'AB'.repeat(32)}`,
    `-1:${position.hash}`,
    `012:${position.hash}`,
    `1:${position.hash}0`,
  ]) {
    assert.equal(parseHead(text), undefined, text);
  }
});
