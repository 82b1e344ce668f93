import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { genesis, seal } from '../chain/chain.js';
import { head } from './head.js';
import type { Position, RecordBody } from '../record/record.js';
import { temporaryDirectory } from '../testing/sample.js';
import { verify } from './verify.js';

test('finds a summary that contradicts the records of an intact chain', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const time = { boot: 'b', monotonic: 1n, wall: 'w' };
  const writeLog = (bodies: readonly RecordBody[], start: Position = genesis): void => {
    let at = start;
    const lines = bodies.map((body) => {
      const sealed = seal(body, at, time);
      at = sealed.position;
      return sealed.line;
    });
    writeFileSync(file, lines.join(''));
  };
  const boot: RecordBody = { kind: 'boot', facts: {} };
  const after = { sequence: 7, hash: 'e'.repeat(64) };
  const segment = { after: genesis, last: genesis, counts: {} };
  const what = async (): Promise<string> =>
    (await verify(file)).problems.map((problem) => problem.what).join();

  writeLog([boot, { kind: 'rotated', segment }]);
  assert.match(await what(), /its summary does not match/);
  writeLog([boot], after);
  assert.match(await what(), /records 1 to 7 are missing, and no summary/);
  writeLog([boot], { sequence: 0, hash: 'e'.repeat(64) });
  assert.match(await what(), /does not follow record 0/);
  const last = seal(boot, after, time).position;
  writeLog(
    [
      boot,
      {
        kind: 'rotated',
        segment: { after, last, counts: {} },
        removed: { after: genesis, last: { sequence: 7, hash: 'd'.repeat(64) }, counts: {} },
      },
    ],
    after,
  );
  assert.equal(await what(), 'the first record does not follow record 7, which was removed');
});

test('several segments in one file, as in a copy, are verified as if each had its own', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const time = { boot: 'b', monotonic: 1n, wall: 'w' };
  const first = seal({ kind: 'boot', facts: {} }, genesis, time);
  const rotated = (after: Position, last: Position): RecordBody => ({
    kind: 'rotated',
    segment: { after, last, counts: {} },
  });
  const second = seal(rotated(genesis, first.position), first.position, time);
  const third = seal(rotated(second.position, second.position), second.position, time);
  const fourth = seal({ kind: 'boot', facts: {} }, third.position, time);
  writeFileSync(file, [first, second, third, fourth].map(({ line }) => line).join(''));
  const report = await verify(file);
  assert.deepEqual(report.problems, []);
  assert.equal(report.records, 4);
  const wrong = seal(rotated(genesis, second.position), second.position, time);
  writeFileSync(file, [first, second, wrong].map(({ line }) => line).join(''));
  assert.match((await verify(file)).problems[0]?.what ?? '', /its summary does not match the segment/);
});

test('problems beyond a hundred are only counted', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  writeFileSync(file, 'x\n'.repeat(150));
  const report = await verify(file);
  assert.equal(report.problems.length, 100);
  assert.equal(report.unlisted, 50);
  assert.equal(report.last, undefined);
  assert.deepEqual(report.head, genesis);
});

test('a line longer than any record ends the reading of its segment, within little memory', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  writeFileSync(file, 'x'.repeat(8 << 20));
  const report = await verify(file);
  assert.match(report.problems[0]?.what ?? '', /a line of more than 1048576 bytes/);
  await assert.rejects(head(file), /a line of more than/);
});

test('bytes that begin as the next record, and have thousands of hashes, are checked within two seconds', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const tail = `,"hash":"${'0'.repeat(64)}"}`;
  writeFileSync(file, `{"sequence":1,"prev":"${genesis.hash}"${tail.repeat(13_900)}`);
  const begin = process.cpuUsage();
  const report = await verify(file);
  assert.ok(process.cpuUsage(begin).user < 4_000_000, 'it takes ten seconds when all before each is hashed');
  assert.equal(report.records, 0);
});

test('an empty log is a problem with or without a head; a missing log is an error', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'audit.log'), '');
  const report = await verify(join(directory, 'audit.log'), { head: genesis });
  assert.equal(report.ok, false);
  assert.match(report.problems[0]?.what ?? '', /^there are no records/);
  assert.deepEqual(report.head, genesis);
  assert.equal((await verify(join(directory, 'audit.log'))).ok, false);
  await assert.rejects(verify(join(directory, 'other.log')), /there is no audit log at .*other\.log/);
});

test('a record with a right hash and a member that readers cannot compute with is not a record', async (t) => {
  const file = join(temporaryDirectory(t), 'audit.log');
  const time = { boot: 'b', monotonic: 1n, wall: 'w' };
  const boot = seal({ kind: 'boot', facts: {} }, genesis, time);
  const place = { after: genesis, last: genesis, counts: {} };
  const caller = { listener: 'l', peer: 'p', method: 'm' };
  // Neither String nor a template makes a text of it.
  const noText = { toString: 1, valueOf: 1 };
  for (const body of [
    { kind: 'rotated' },
    { kind: 'rotated', segment: null },
    { kind: 'rotated', segment: { ...place, counts: { a: null } } },
    { kind: 'rotated', segment: place, removed: null },
    { kind: 'rotated', segment: place, removed: {} },
    { kind: 'rotated', segment: place, removed: { ...place, kept: 1 } },
    { kind: 'rotated', segment: place, removed: { ...place, kept: { records: noText } } },
    { kind: 'rotated', segment: place, removed: { ...place, tree: { first: '1', frontier: '0' } } },
    { kind: 'boot' },
    { kind: 'boot', facts: null },
    { kind: 'outcome', ...caller },
    { kind: 'call', ...caller, decision: {}, result: null },
    { kind: 'call', ...caller, decision: {}, result: { clock: null } },
    { kind: 'call', ...caller, decision: {}, result: { image: { signatures: 'x' } } },
    { kind: 'call', ...caller, result: {} },
    { kind: 'intent', ...caller },
    { kind: 'intent', ...caller, decision: null },
    { kind: 'intent', ...caller, decision: {}, subject: null },
    { kind: 'intent', ...caller, decision: {}, method: 1 },
    { kind: 'refusal', ...caller, decision: {}, peer: undefined },
    { kind: 'fold', of: 'call', ...caller, decision: {}, count: '1' },
    { kind: 'fold', of: 'call', ...caller, count: 1 },
    { kind: 'fold', of: 'call', ...caller, decision: {}, count: 1, code: noText },
    { kind: 'refusal', ...caller, decision: { rule: noText } },
    { kind: 'refusal', ...caller, decision: {}, subject: { containerId: noText } },
    { kind: 'outcome', ...caller, result: { durationUs: noText } },
    { kind: 'outcome', ...caller, result: { image: { signatures: [noText] } } },
    { kind: 'outcome', ...caller, result: { secrets: { count: 1 } } },
    { kind: 'outcome', ...caller, result: { secrets: { count: 1, names: [noText] } } },
    { kind: 'outcome', ...caller, result: { secrets: { count: noText, names: [] } } },
    { kind: 'outcome', ...caller, result: { clock: { after: noText } } },
    { kind: 'outcome', ...caller, intent: noText, result: {} },
    { kind: 'repaired', cutBytes: noText },
    { kind: 'lost', count: 1, failure: noText },
    { kind: 'lost' },
  ]) {
    writeFileSync(file, boot.line + seal(body as unknown as RecordBody, boot.position, time).line);
    const { ok, problems } = await verify(file);
    assert.equal(ok, false);
    assert.match(problems[0]?.what ?? '', /the content is not a known record/, JSON.stringify(body));
  }
  writeFileSync(file, seal({ kind: 'boot', facts: {} }, { sequence: -1, hash: genesis.hash }, time).line);
  assert.match((await verify(file)).problems[0]?.what ?? '', /the content is not a known record/);
});
