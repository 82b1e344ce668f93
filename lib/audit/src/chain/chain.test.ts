import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { leafHash } from '@kata-agent/tlog';
import * as fc from 'fast-check';
import { renderRecord } from '../read/show.js';
import {
  genesis,
  hashedLine,
  leafOf,
  lineHashes,
  positionBefore,
  positionOf,
  readRecord,
  seal,
} from './chain.js';
import type { RecordBody } from '../record/record.js';

const time = { boot: 'b', monotonic: 5n, wall: '2026-01-02T03:04:05.678Z' };
const body: RecordBody = { kind: 'boot', facts: { version: '1' } };

test('a sealed line matches FORMAT.md byte for byte', () => {
  const { line, position } = seal(body, genesis, time);
  const hashed = `{"sequence":1,"prev":"${'0'.repeat(64)}","boot":"b","monotonic":5,"wall":"2026-01-02T03:04:05.678Z","kind":"boot","facts":{"version":"1"}`;
  const hash = createHash('sha256').update(`\0${hashed}}`).digest('hex');
  assert.equal(line, `${hashed},"hash":"${hash}"}\n`);
  assert.deepEqual(position, { sequence: 1, hash });
});

test('the shell commands of FORMAT.md compute the hash', () => {
  const { line, position } = seal(body, genesis, time);
  const script = `{ printf '\\0'; printf %s "\${line%,\\"hash\\":*}}"; } | sha256sum`;
  const output = execFileSync('/bin/sh', ['-c', script], { env: { ...process.env, line: line.trimEnd() } });
  assert.equal(output.toString().slice(0, 64), position.hash);
});

test('any text becomes a line of printable ASCII and reads back unchanged', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), (text) => {
    const { line } = seal({ kind: 'boot', facts: { text } }, genesis, time);
    assert.match(line, /^[ -~]+\n$/);
    const read = readRecord(Buffer.from(line.trimEnd()));
    assert.ok(read.ok && read.record.kind === 'boot');
    assert.equal(read.record.facts['text'], text);
  });
  fc.assert(property, {
    examples: [['\u007f'], ['\u009b31m\u202e\u2028'], ['\u001b]0;x\u0007\n'], ['\ud800']],
  });
});

test('returns the positions of a record and of its predecessor', () => {
  const one = seal(body, genesis, time);
  const two = seal(body, one.position, time);
  const read = readRecord(Buffer.from(two.line.trimEnd()));
  assert.ok(read.ok);
  assert.deepEqual(positionOf(read.record), two.position);
  assert.deepEqual(positionBefore(read.record), one.position);
});

test('classifies lines that are not records', () => {
  const { line } = seal(body, genesis, time);
  const text = line.trimEnd();
  const whatOf = (changed: string): string => {
    const read = readRecord(Buffer.from(changed));
    assert.ok(!read.ok);
    return read.what;
  };
  assert.match(whatOf(''), /does not end in a hash/);
  assert.match(whatOf(text.slice(0, -1)), /does not end in a hash/);
  assert.match(whatOf(text.replace('"version"', '"Version"')), /its hash does not match/);
  const rehash = (hashed: string): string =>
    `${hashed},"hash":"${createHash('sha256').update(`\0${hashed}}`).digest('hex')}"}`;
  for (const hashed of [
    '',
    '{"sequence":1',
    'not json',
    '{"sequence":1.5,"prev":"","kind":"","wall":""',
    '[1',
  ]) {
    assert.match(whatOf(rehash(hashed)), /not a known record/, hashed);
  }
});

test('a record that is nested too deep for recursion is none, whatever its brackets and texts', () => {
  const read = (value: string): boolean => {
    const open = `{"sequence":1,"prev":"${genesis.hash}","boot":"b","wall":"w","kind":"boot","facts":{"a":${value}}`;
    const line = `${open},"hash":"${createHash('sha256').update(`\0${open}}`).digest('hex')}"}`;
    const found = readRecord(Buffer.from(line));
    if (found.ok) renderRecord(found.record);
    return found.ok;
  };
  const text = JSON.stringify(`${'['.repeat(3_000)}"\\`);
  for (const depth of [1, 50, 1_000, 100_000]) {
    assert.equal(read(`${'['.repeat(depth)}${text}${']'.repeat(depth)}`), depth <= 50);
    assert.equal(
      read(`${`{${text}:`.repeat(Math.min(depth, 200))}1${'}'.repeat(Math.min(depth, 200))}`),
      depth <= 50,
    );
    assert.equal(read(`[${Array.from({ length: depth }, () => '[{}]').join()}]`), true);
  }
});

const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((at) => String.fromCharCode(at)),
});

test('a line that is written has one hash: its own, and that of its leaf', () => {
  const property = fc.property(printable, (text) => {
    const { line, hash } = hashedLine(`{${text}`);
    assert.equal(hash, sha256(`\0{${text}}`));
    assert.deepEqual(lineHashes(Buffer.from(line)), { stated: hash, matches: true, leaf: hash });
    assert.equal(leafOf(Buffer.from(line)).toString(), `{${text}}`);
  });
  fc.assert(property, { examples: [[''], ['"a":{"hash":"'], [`"a":{"hash":"${'0'.repeat(64)}"}`]] });
});

test('no byte of a line can be changed, removed or added without another leaf', () => {
  const { line, hash } = hashedLine('{"sequence":1,"prev":"0"');
  const bytes = Buffer.from(line);
  for (let at = 0; at < bytes.length; at += 1) {
    const changes = [
      Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]),
      Buffer.concat([bytes.subarray(0, at), Buffer.from('}'), bytes.subarray(at)]),
      ...[1, 2, 0x20, 0x80].map((bit) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ bit;
        return changed;
      }),
    ];
    for (const changed of changes) {
      const { leaf, matches } = lineHashes(changed);
      assert.equal(matches, false, changed.toString());
      assert.notEqual(leaf, hash, changed.toString());
      assert.equal(leafHash(leafOf(changed)), leaf);
    }
  }
});

test('a line that is not a record has the leaf of none, also if it is the leaf of one', () => {
  const { line, hash } = hashedLine('{"sequence":1');
  for (const none of ['{"sequence":1}', '{"sequence":1', line.slice(0, -1), '', 'x']) {
    const { matches, leaf } = lineHashes(Buffer.from(none));
    assert.equal(matches, false);
    assert.notEqual(leaf, hash);
    assert.notEqual(leaf, leafHash(Buffer.from(none)), 'in a file no line can have another newline');
    assert.equal(leafHash(leafOf(Buffer.from(none))), leaf);
  }
});

test('a line around a line is a record of its own, with another leaf', () => {
  const { line, hash } = hashedLine('{"sequence":1');
  const around = hashedLine(line.slice(0, -1));
  assert.equal(lineHashes(Buffer.from(around.line)).matches, true);
  assert.notEqual(around.hash, hash);
});

test('a hash without the zero byte before the record is not its hash', () => {
  for (const hashed of ['{"sequence":1', '{"sequence":1}']) {
    const line = Buffer.from(`{"sequence":1,"hash":"${sha256(hashed)}"}`);
    const { matches, leaf } = lineHashes(line);
    assert.equal(matches, false);
    assert.equal(leaf, leafHash(`${line.toString()}\n`));
  }
});
