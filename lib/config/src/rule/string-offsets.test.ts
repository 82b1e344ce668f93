import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { parseToml } from '../toml/parse-toml.js';
import { SourceText } from '../diagnostics/diagnostic.js';
import { stringOffsets } from './string-offsets.js';

/** Parses a literal and returns each UTF-16 unit with the source that it comes from. */
function pieces(literal: string): readonly (readonly [string, string])[] {
  const text = `a = ${literal}\n`;
  const toml = parseToml(new SourceText('f', text));
  assert.ok(toml.ok, literal);
  const value = toml.root.entries.get('a')?.value;
  assert.ok(value?.kind === 'string');
  const offsets = stringOffsets(text, value.range[0], value.range[1]);
  assert.equal(offsets.length, value.value.length + 1, literal);
  return Array.from({ length: value.value.length }, (_, at) => [
    value.value.charAt(at),
    text.slice(offsets[at], offsets[at + 1]),
  ]);
}

test('characters without escapes keep their offsets', () => {
  assert.deepEqual(pieces(`'a"\\'`), [
    ['a', 'a'],
    ['"', '"'],
    ['\\', '\\'],
  ]);
  assert.deepEqual(pieces('""'), []);
  assert.deepEqual(pieces("''''''"), []);
});

test('escapes, dropped newlines and line endings are skipped', () => {
  assert.deepEqual(pieces('"\\t\\u00e9\\U0001F600b"'), [
    ['\t', '\\t'],
    ['é', '\\u00e9'],
    ['\ud83d', ''],
    ['\ude00', '\\U0001F600'],
    ['b', 'b'],
  ]);
  assert.deepEqual(pieces('"""\r\na\r\nb\\\r\n  \t c"""'), [
    ['a', 'a'],
    ['\n', '\r\n'],
    ['b', 'b\\\r\n  \t '],
    ['c', 'c'],
  ]);
  assert.deepEqual(pieces("'''\na\\\nb'''"), [
    ['a', 'a'],
    ['\\', '\\'],
    ['\n', '\n'],
    ['b', 'b'],
  ]);
  assert.deepEqual(pieces('"""x""""'), [
    ['x', 'x'],
    ['"', '"'],
  ]);
});

test('for any literal there is one offset per unit, ascending and within its quotes', () => {
  const unit = fc.oneof(
    fc.constantFrom(
      'a',
      ' ',
      '"',
      "'",
      '\\\\',
      '\\"',
      '\\n',
      '\\u0041',
      '\\U0001F601',
      'é',
      '😀',
      '\\\n',
      '\\ \r\n ',
      '\n',
      '\r\n',
    ),
    fc.string({ unit: 'grapheme-ascii', maxLength: 2 }),
  );
  const literal = fc
    .tuple(fc.constantFrom('"', "'", '"""', "'''"), fc.array(unit, { maxLength: 12 }))
    .map(([quotes, units]) => `${quotes}${units.join('')}${quotes}`);
  let read = 0;
  fc.assert(
    fc.property(literal, (literal) => {
      const text = `a = ${literal}\n`;
      const toml = parseToml(new SourceText('f', text));
      const value = toml.ok ? toml.root.entries.get('a')?.value : undefined;
      if (value?.kind !== 'string') return;
      read += 1;
      const offsets = stringOffsets(text, value.range[0], value.range[1]);
      assert.equal(offsets.length, value.value.length + 1);
      for (const [at, offset] of offsets.entries()) {
        assert.ok(offset >= (offsets[at - 1] ?? value.range[0]) && offset <= value.range[1]);
        const unit = value.value.charAt(at);
        if (/[a-z]/.test(unit))
          assert.equal(text.charAt(offset) === '\\' || text.charAt(offset) === unit, true);
      }
    }),
    { numRuns: runs(2000) },
  );
  assert.ok(read > timesSeen(200), `only ${read} were TOML`);
});
