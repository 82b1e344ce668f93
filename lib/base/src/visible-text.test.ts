import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleText } from './visible-text.js';

test('what is not seen as what it is, is written out', () => {
  for (const character of Array.from(
    '\u0000\u001b\u009b\u00a0\u00ad\u034f\u115f\u1160\u2003\u200b\u2028\u202e\u2066\u2800\u3000\u3164\ufe0f\ufeff\uffa0',
  ))
    assert.equal(visibleText(`a${character}b`), `a\\u{${character.codePointAt(0)?.toString(16)}}b`);
  assert.equal(visibleText('\ud800'), '\\u{d800}');
  assert.equal(visibleText('\u{e0041}'), '\\u{e0041}');
});

test('marks of writing stay, and piles of them do not', () => {
  assert.equal(visibleText('e\u0301 한국 日本 ü'), 'e\u0301 한국 日本 ü');
  assert.equal(visibleText(`a${'\u0336'.repeat(5)}`), `a${'\u0336'.repeat(3)}\\u{336}\\u{336}`);
});

test('some can stay', () => {
  assert.equal(visibleText('a\n\tb\r', '\n\t'), 'a\n\tb\\u{d}');
});
