import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { leafHash } from '@kata-agent/tlog';
import { hashedLine, leafOf, lineHashes } from './written-record.js';

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
