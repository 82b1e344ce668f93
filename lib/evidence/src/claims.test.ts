import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { EvidenceFormError } from './evidence-error.js';
import {
  canonicalJson,
  type Claims,
  claimsDigest,
  encodeClaims,
  parseCanonicalJson,
  parseClaims,
  reportDataOf,
} from './claims.js';

interface Vector {
  readonly name: string;
  readonly claims: Claims;
  readonly text: string;
  readonly report_data: string;
}

const vectors = JSON.parse(
  readFileSync(fileURLToPath(new URL('../vectors/claims.json', import.meta.url)), 'utf8'),
) as readonly Vector[];

test('claims have the bytes and the report data of the committed vectors, in both directions', () => {
  assert.ok(vectors.length >= 3);
  for (const { name, claims, text, report_data: reportData } of vectors) {
    const bytes = encodeClaims(claims);
    assert.equal(Buffer.from(bytes).toString(), text, name);
    assert.deepEqual(parseClaims(bytes), claims, name);
    assert.equal(Buffer.from(reportDataOf(bytes)).toString('hex'), reportData, name);
    assert.equal(reportData, `${Buffer.from(claimsDigest(bytes)).toString('hex')}${'00'.repeat(16)}`);
  }
});

test('other spellings of the same claims are refused', () => {
  const text = vectors[0]?.text ?? '';
  const others = [
    ` ${text}`,
    `${text}\n`,
    `\u{feff}${text}`,
    text.replace('"boot_id":', '"boot_id": '),
    text.replace('"v":1', '"v":1,"v":1'),
    text.replace('"v":1', '"v":1.0'),
    text.replace('"v":1', '"v":1e0'),
    text.replace('"v":1', '"v":true'),
    text.replace('"v":1', '"v":null'),
    text.replace('"v":1', '"v":2'),
    text.replace('"v":1,', ''),
    text.replace('"v":1', '"v":1,"zzz":1'),
    text.replace('"v":1', '"__proto__":1,"v":1'),
    text.replace('none', '\\u006eone'),
    text.replace('none:unix', 'none:UNIX'),
    text.replace(/"nonce":"[0-9a-f]{2}/, '"nonce":"'),
    text.replace(/"tree_size":\d+/, '"tree_size":-1'),
    text.replace(/"tree_size":\d+/, '"tree_size":9007199254740993'),
    text.replace(/"documents":\[/, '"documents":["x",'),
    `[${text}]`,
    '',
  ];
  for (const other of others) {
    assert.notEqual(other, text);
    assert.throws(() => parseClaims(Buffer.from(other)), EvidenceFormError, other);
  }
  assert.throws(() => parseClaims(Buffer.from([0x22, 0xff, 0x22])), EvidenceFormError);
});

test('canonical JSON sorts by UTF-16 units, and keeps every value (RFC 8785, 3.2.3)', () => {
  // The order of the example in RFC 8785: U+20AC, CR, U+FB33, 1, U+1F600, U+0080, U+00F6.
  const example = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
  const text = Buffer.from(canonicalJson(example)).toString();
  assert.equal(text, '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.array(tie('value')),
      fc.dictionary(fc.string(), tie('value')),
    ),
  }));
  fc.assert(
    fc.property(value as fc.Arbitrary<string>, (one) => {
      const bytes = canonicalJson(one);
      assert.deepEqual(canonicalJson(parseCanonicalJson(bytes, 'value')), bytes);
    }),
  );
  assert.throws(() => canonicalJson('\ud800'), TypeError);
  assert.throws(() => canonicalJson(0.5), TypeError);
});
