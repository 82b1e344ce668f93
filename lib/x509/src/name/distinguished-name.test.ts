import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalName, NameSyntaxError } from './canonical-name.js';
import { escapeValue, oneWord, subjectWord } from './distinguished-name.js';

const texts = fc.string({
  unit: fc.constantFrom(
    'a',
    'é',
    ' ',
    '\\',
    ',',
    '#',
    '2',
    '0',
    '\n',
    '\u3000',
    '\u202e',
    '\u00a0',
    '=',
    '"',
  ),
  minLength: 1,
});

test('a name is one word, and different names stay different', () => {
  assert.equal(oneWord('cn:Ann Smith'), 'cn:Ann\\20Smith');
  assert.equal(oneWord('uri:spiffe://example/ops/alice'), 'uri:spiffe://example/ops/alice');
  fc.assert(
    fc.property(texts, texts, (one, other) => {
      assert.doesNotMatch(oneWord(one), /[\s\p{C}\p{Z}]/u);
      assert.equal(oneWord(one) === oneWord(other), one === other);
      // It can be undone.
      const bytes = oneWord(one).replace(/(?:\\[0-9a-f]{2})+/g, (pairs) =>
        Buffer.from(pairs.replaceAll('\\', ''), 'hex').toString(),
      );
      assert.equal(bytes, one);
    }),
  );
});

test('a subject is one word, and text of the same name', () => {
  assert.equal(subjectWord('CN=Ann Smith,O=Example'), 'CN=Ann\\20Smith,O=Example');
  assert.equal(subjectWord('CN=a\\\\ b\\ '), 'CN=a\\\\\\20b\\20');
  fc.assert(
    fc.property(texts, (text) => {
      const subject = `CN=${escapeValue(text)}`;
      assert.doesNotMatch(subjectWord(subject), /[\s\p{C}\p{Z}]/u);
      let canonical;
      try {
        canonical = canonicalName(subject);
      } catch (error) {
        // Of control characters, which no entry of `peers` can have.
        if (error instanceof NameSyntaxError) return;
        throw error;
      }
      assert.equal(canonicalName(subjectWord(subject)), canonical);
    }),
  );
});
