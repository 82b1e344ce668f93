import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { seal } from '../chain/chain.js';
import { head } from './head.js';
import type { AuditRecord, Position, RecordBody } from '../record/record.js';
import { closedNumbers, segmentPath } from '../file-layer.js';
import { FaultyFiles } from '../testing/faulty-files.js';
import {
  allowed,
  denied,
  ok,
  openSample,
  recordsOf,
  sampleCall,
  temporaryDirectory,
} from '../testing/sample.js';
import { verify } from './verify.js';

interface Sample {
  readonly file: string;
  /** Oldest first. */
  readonly segments: readonly { readonly path: string; readonly bytes: Buffer }[];
  readonly head: Position;
}

/** Writes a log of a few segments whose first ones have been removed. */
async function writeSample(t: Parameters<typeof openSample>[0], records = 40): Promise<Sample> {
  const { log, file } = await openSample(t, { maxSize: 2500, keep: 3 });
  await log.boot({ version: '1' });
  for (let n = 0; n < records; n += 1) {
    const call = sampleCall({ subject: { containerId: `c${n}` }, method: `m${n % 5}` });
    if (n % 3 === 0) log.refuse(call, denied);
    else log.outcome(await log.intent(call, allowed), call, ok);
  }
  await log.close();
  const numbers = [...(await closedNumbers(file)).reverse(), 0];
  const segments = numbers
    .map((number) => segmentPath(file, number))
    .map((path) => ({ path, bytes: readFileSync(path) }));
  return { file, segments, head: await head(file) };
}

function restore(sample: Sample): void {
  for (const { path, bytes } of sample.segments) writeFileSync(path, bytes);
}

function linesOf(bytes: Buffer): string[] {
  return bytes.toString('latin1').split('\n').slice(0, -1);
}

function writeLines(path: string, lines: readonly string[]): void {
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''), 'latin1');
}

async function isFound(file: string, anchor?: Position): Promise<boolean> {
  return !(await verify(file, { head: anchor })).ok;
}

test('an unmodified log verifies, with and without its head', async (t) => {
  const sample = await writeSample(t);
  assert.equal(sample.segments.length, 4);
  const report = await verify(sample.file, { head: sample.head });
  assert.deepEqual(report.problems, []);
  assert.equal(report.ok, true);
  assert.ok(report.removed > 0);
  assert.equal(report.first, report.removed + 1);
  assert.deepEqual(report.head, sample.head);
  assert.equal(report.last, sample.head.sequence);
  assert.equal(report.records, sample.head.sequence - report.removed);
});

test('every change of one byte is found', async (t) => {
  const sample = await writeSample(t);
  const change = fc.record({
    segment: fc.nat(sample.segments.length - 1),
    offset: fc.nat(1 << 20),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  const property = fc.asyncProperty(change, async ({ segment, offset, byte }) => {
    const { path, bytes } = sample.segments[segment] ?? assert.fail();
    const changed = Buffer.from(bytes);
    const at = offset % changed.length;
    changed[at] = (changed[at] ?? 0) ^ byte;
    writeFileSync(path, changed);
    assert.ok(await isFound(sample.file));
    writeFileSync(path, bytes);
  });
  const lastByte = (sample.segments.at(-1)?.bytes.length ?? 0) - 1;
  const newlines = [1, 0x0a ^ 0x0d, 0x0a ^ 0x20, 0x0a ^ 0x7d].map(
    (byte) =>
      [{ segment: sample.segments.length - 1, offset: lastByte, byte }] as [
        { segment: number; offset: number; byte: number },
      ],
  );
  await fc.assert(property, { numRuns: runs(400), examples: newlines });
  restore(sample);
  assert.equal(await isFound(sample.file), false);
});

test('every byte of the last record is protected, including the newline', async (t) => {
  const sample = await writeSample(t, 2);
  const { path, bytes } = sample.segments.at(-1) ?? assert.fail();
  const begin = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  for (let at = begin; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(path, changed);
    assert.ok(await isFound(sample.file), `byte ${at}`);
  }
});

test('every deletion, repetition and swap of records is found', async (t) => {
  const sample = await writeSample(t);
  const places = sample.segments.flatMap(({ bytes }, segment) =>
    linesOf(bytes).map((_, line) => ({ segment, line })),
  );
  const place = fc.constantFrom(...places);
  const what = fc.constantFrom('delete', 'repeat', 'swap');
  const property = fc.asyncProperty(what, place, place, async (what, one, other) => {
    const lines = sample.segments.map(({ bytes }) => linesOf(bytes));
    const from = lines[one.segment] ?? assert.fail();
    const to = lines[other.segment] ?? assert.fail();
    const text = from[one.line] ?? assert.fail();
    if (what === 'delete') from.splice(one.line, 1);
    if (what === 'repeat') to.splice(other.line, 0, text);
    if (what === 'swap') {
      fc.pre(one.segment !== other.segment || one.line !== other.line);
      from[one.line] = to[other.line] ?? assert.fail();
      to[other.line] = text;
    }
    for (const [index, { path }] of sample.segments.entries()) writeLines(path, lines[index] ?? []);
    // Without its last record it is a valid shorter log: only the head reveals it.
    assert.ok(await isFound(sample.file, sample.head));
    const last = places.at(-1);
    const isCut = what === 'delete' && one.segment === last?.segment && one.line === last.line;
    if (!isCut) assert.ok(await isFound(sample.file));
    restore(sample);
  });
  await fc.assert(property, { numRuns: runs(150) });
});

test('a truncated log is found with an externally stored head, wherever it was cut', async (t) => {
  const sample = await writeSample(t);
  const { path, bytes } = sample.segments.at(-1) ?? assert.fail();
  const property = fc.asyncProperty(fc.nat(bytes.length - 1), async (size) => {
    truncateSync(path, size);
    assert.ok(await isFound(sample.file, sample.head));
    writeFileSync(path, bytes);
  });
  await fc.assert(property, { numRuns: runs(100), examples: [[bytes.length - 1], [0]] });
  const lines = linesOf(bytes);
  writeLines(path, lines.slice(0, -1));
  const report = await verify(sample.file, { head: sample.head });
  assert.match(
    report.problems[0]?.what ?? '',
    /^truncated: the log ends with record \d+, but the stored head/,
  );
  assert.equal(await isFound(sample.file), false);
});

test('a deleted segment is found; the newest one needs the head', async (t) => {
  const sample = await writeSample(t);
  for (const [index, { path }] of sample.segments.entries()) {
    rmSync(path);
    const report = await verify(sample.file, { head: sample.head });
    assert.equal(report.ok, false, path);
    if (index === 0) assert.match(report.problems[0]?.what ?? '', /are missing, and no summary covers them/);
    if (index === 1)
      assert.match(report.problems[0]?.what ?? '', /follows record \d+: \d+ records before it/);
    restore(sample);
  }
});

test('problems name segment, line and record', async (t) => {
  const sample = await writeSample(t, 4);
  const { path, bytes } = sample.segments.at(-1) ?? assert.fail();
  writeFileSync(path, bytes.toString('latin1').replace('"listener":"host"', '"listener":"hosT"'), 'latin1');
  const { problems } = await verify(sample.file);
  assert.equal(problems[0]?.segment, path);
  assert.match(problems[0]?.what ?? '', /its hash does not match/);
  const line = linesOf(readFileSync(path))[(problems[0]?.line ?? 0) - 1] ?? '';
  assert.equal(JSON.parse(line).sequence, problems[0]?.sequence);
  assert.equal(problems.length, 1);
});

test('a head of another log, of a removed record, or of a damaged record is reported', async (t) => {
  const sample = await writeSample(t);
  const what = async (anchor: Position): Promise<string> =>
    (await verify(sample.file, { head: anchor })).problems.map((problem) => problem.what).join('\n');
  assert.match(await what({ ...sample.head, hash: 'f'.repeat(64) }), /is not the record of the stored head/);
  assert.match(
    await what({ sequence: 1, hash: 'f'.repeat(64) }),
    /^the kept record 1 is not the record of the stored head/,
  );
  const { sequence, hash } = recordsOf(`${sample.file}.kept`)[0] ?? assert.fail();
  // It is there; what has become of the others is said by a record after it, which anybody could have added.
  const unproven = /^records 1 to \d+ are gone, and only record \d+ says .* the stored head does not cover/;
  assert.match(await what({ sequence, hash }), unproven);
  const gone = recordsOf(`${sample.file}.kept`).findLast((_, index, all) => {
    return all[index + 1]?.sequence !== (all[index]?.sequence ?? 0) + 1;
  });
  assert.match(
    await what({ sequence: 1 + (gone?.sequence ?? 0), hash: 'f'.repeat(64) }),
    /cannot be compared: rotation removed records 1/,
  );
  const { removed, first } = await verify(sample.file);
  const [oldest] = sample.segments;
  const { prev } = JSON.parse(linesOf(oldest?.bytes ?? Buffer.alloc(0))[0] ?? '{}');
  assert.match(await what({ sequence: removed, hash: prev }), unproven);
  const path = oldest?.path ?? '';
  writeFileSync(path, (oldest?.bytes ?? Buffer.alloc(0)).toString('latin1').replace('"kind"', '"kinD"'));
  assert.match(
    await what({ sequence: first ?? 0, hash: 'f'.repeat(64) }),
    /which the stored head names, is missing/,
  );
});

test('an incomplete last line is not a problem; other bytes at the end are', async (t) => {
  const sample = await writeSample(t, 2);
  const { path, bytes } = sample.segments.at(-1) ?? assert.fail();
  const body: RecordBody = { kind: 'boot', facts: { hash: 'a'.repeat(64) } };
  const { line } = seal(body, sample.head, { boot: 'b', monotonic: 1n, wall: 'w' });
  for (let length = 1; length < line.length; length += 1) {
    writeFileSync(path, Buffer.concat([bytes, Buffer.from(line.slice(0, length))]));
    const report = await verify(sample.file, { head: sample.head });
    assert.deepEqual(report.problems, []);
    assert.equal(report.unfinishedBytes, length);
  }
  for (const rest of ['x', '{"sequence":1,', `${line.trimEnd()}x`]) {
    writeFileSync(path, Buffer.concat([bytes, Buffer.from(rest)]));
    assert.ok(await isFound(sample.file), rest);
  }
});

test('in a closed segment, an incomplete last line or a missing end is a problem', async (t) => {
  const sample = await writeSample(t);
  const { path, bytes } = sample.segments.at(-2) ?? assert.fail();
  writeFileSync(path, bytes.subarray(0, -1));
  const { problems } = await verify(sample.file);
  assert.ok(problems.some(({ what }) => /bytes that are not a record/.test(what)));
  writeLines(path, linesOf(bytes).slice(0, -1));
  const report = await verify(sample.file);
  assert.ok(report.problems.some(({ what }) => /does not end in its rotated record/.test(what)));
});

test('a rewritten record with a valid hash is found by its successor', async (t) => {
  const sample = await writeSample(t, 2);
  const { path, bytes } = sample.segments[0] ?? assert.fail();
  const lines = linesOf(bytes);
  const [line = ''] = lines;
  const { prev, sequence, boot, monotonic, wall } = JSON.parse(line) as AuditRecord;
  const before = { sequence: sequence - 1, hash: prev };
  const forged = seal({ kind: 'boot', facts: { version: '2' } }, before, {
    boot,
    monotonic: BigInt(monotonic),
    wall,
  });
  writeLines(path, [forged.line.trimEnd(), ...lines.slice(1)]);
  const { problems } = await verify(sample.file);
  assert.deepEqual(problems, [
    {
      segment: path,
      line: 2,
      sequence: sequence + 1,
      what: 'does not contain the hash of the previous record',
    },
  ]);
});

test('a symbolic link is not read', async (t) => {
  const sample = await writeSample(t, 2);
  const link = join(temporaryDirectory(t), 'audit.log');
  symlinkSync(sample.file, link);
  await assert.rejects(verify(link), /ELOOP/);
});

test('a log verifies while it is written and rotated', async (t) => {
  const { log, file } = await openSample(t, { maxSize: 4000, keep: 2, files: new FaultyFiles() });
  await log.boot({});
  let written = 0;
  const writer = (async (): Promise<void> => {
    for (let n = 0; n < 400; n += 1) written = await log.intent(sampleCall(), allowed);
  })();
  let reports = 0;
  for (let last = 0; last < 400; ) {
    const report = await verify(file).catch((error: Error) => {
      // A reader that lost each race against a writer that rotates continuously gets an error to try again.
      assert.match(error.message, /rotated faster/);
    });
    if (report === undefined) continue;
    assert.deepEqual(report.problems, []);
    last = report.last ?? 0;
    reports += 1;
  }
  await writer;
  assert.ok(written >= 400);
  assert.ok(reports > 0);
});

test('kept records are protected too: each byte, each record, their order, the whole file', async (t) => {
  const sample = await writeSample(t);
  const path = `${sample.file}.kept`;
  const bytes = readFileSync(path);
  const report = await verify(sample.file);
  assert.equal(report.kept, linesOf(bytes).length);
  assert.ok(report.kept > 4);
  const property = fc.asyncProperty(
    fc.nat(bytes.length - 1),
    fc.integer({ min: 1, max: 255 }),
    async (at, bit) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ bit;
      writeFileSync(path, changed);
      assert.ok(await isFound(sample.file));
    },
  );
  await fc.assert(property, {
    numRuns: runs(150),
    examples: [
      [0, 1],
      [bytes.length - 1, 1],
    ],
  });
  const lines = linesOf(bytes);
  const [first = '', second = '', ...rest] = lines;
  const more = linesOf(sample.segments[0]?.bytes ?? Buffer.alloc(0))[0] ?? '';
  for (const changed of [
    [second, ...rest],
    [second, first, ...rest],
    lines.slice(0, -1),
    [...lines, more],
    [],
  ]) {
    writeLines(path, changed);
    assert.ok(await isFound(sample.file));
  }
  rmSync(path);
  assert.match((await verify(sample.file)).problems[0]?.what ?? '', /kept records are not those.*or missing/);
  writeFileSync(path, bytes);
  assert.equal(await isFound(sample.file), false);
});

test('kept records that no record names are found; a file prepared for a rotation is not a problem', async (t) => {
  const sample = await writeSample(t, 4);
  writeFileSync(`${sample.file}.kept.next`, 'half a li');
  assert.equal(await isFound(sample.file), false);
  writeFileSync(`${sample.file}.kept`, sample.segments[0]?.bytes ?? '');
  assert.match((await verify(sample.file)).problems[0]?.what ?? '', /no record that names the kept records/);
});

test('the records that are verified are given to the caller, and those that rotation kept', async (t) => {
  const { file } = await writeSample(t);
  const given: (number | undefined)[] = [];
  const {
    ok: isSound,
    records,
    kept,
    last,
  } = await verify(file, {
    each: (record) => given.push(record?.sequence),
  });
  assert.equal(isSound, true);
  assert.equal(given.length, records + kept);
  assert.ok(kept > 0 && given.at(-1) === last);
  writeFileSync(file, 'no record\n', { flag: 'a' });
  let without = 0;
  await verify(file, { each: (record) => (record === undefined ? (without += 1) : 0) });
  assert.equal(without, 1);
});
