import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeName } from '../certificate/make-certificate.js';
import { attributeTypes, formatName, parseWholeName } from './distinguished-name.js';
import { canonicalName, NameSyntaxError } from './canonical-name.js';

test('spellings of one name become one', () => {
  const table: readonly [text: string, canonical: string][] = [
    ['CN=auditor,O=Example', 'CN=auditor,O=Example'],
    ['CN=a\\2cb', 'CN=a\\,b'],
    ['CN=a\\,b', 'CN=a\\,b'],
    ['CN=Pr\\c3\\bcfer', 'CN=Prüfer'],
    ['OU=ops+CN=a', 'CN=a+OU=ops'],
    ['CN=\\#a', 'CN=\\#a'],
    ['CN=a\\ ', 'CN=a\\ '],
    ['CN=a=b', 'CN=a=b'],
    ['1.2.3=#0C0161', '1.2.3=#0c0161'],
    ['CN=#1403616263', 'CN=#1403616263'], // TeletexString, which has no other form
  ];
  for (const [text, canonical] of table) assert.equal(canonicalName(text), canonical);
});

test('other text is refused', () => {
  const table: readonly [text: string, pattern: RegExp][] = [
    ['', /not of the form TYPE=VALUE/],
    ['auditor', /not of the form TYPE=VALUE/],
    ['CN=a,', /not of the form TYPE=VALUE/],
    ['CN=a, O=b', /type ' O' is not one of CN, L/],
    ['toString=a', /type 'toString' is not one of/],
    ['emailAddress=a@b', /type 'emailAddress' is not one of/],
    ['2.5.4.3=#0c0161', /write CN instead of 2\.5\.4\.3/],
    ['1.2.3=abc', /must be # and the encoded value in hex/],
    ['CN=#0c03616263', /write the text of CN instead of its encoding/],
    [`CN=${'a'.repeat(5000)}`, /more than 4096 characters/],
    ['CN= a', /escape the space or #/],
    ['CN=a ', /escape the space or #/],
    ['CN=a"b', /escape " with a backslash/],
    ['CN=a\\', /escape \\ with a backslash/],
    ['CN=a\\zb', /escape \\ with a backslash/],
    ['CN=a\\ff', /not valid UTF-8/],
    ['CN=a\\00b', /control character/],
    ['CN=a\0b', /control character/],
  ];
  for (const [text, pattern] of table)
    assert.throws(
      () => canonicalName(text),
      (error: unknown) => error instanceof NameSyntaxError && pattern.test(error.message),
      text,
    );
});

test('the text of any name is read as the same text, and two names never share one', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((each) => !/\p{Cc}|\p{Cs}/u.test(each));
  const special = fc.stringMatching(/^[ #,+="\\<>;ab]{0,6}$/);
  const attribute = fc.record({
    type: fc.constantFrom(...Object.keys(attributeTypes)),
    text: fc.oneof(text, special),
  });
  const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 1 }), { minLength: 1, maxLength: 4 });
  const textOf = (value: readonly (readonly { type: string; text: string }[])[]): string =>
    formatName(parseWholeName(encodeName(value), 'name'));
  fc.assert(
    fc.property(name, name, (one, other) => {
      assert.equal(canonicalName(textOf(one)), textOf(one));
      assert.equal(textOf(one) === textOf(other), JSON.stringify(one) === JSON.stringify(other));
    }),
    { numRuns: 500 },
  );
});
