import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeSpec } from './encode-spec.js';

test('the encoding equals JSON.stringify without large integers', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.deepEqual(JSON.parse(encodeSpec(value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('64-bit integers keep every digit, and undefined members are omitted', () => {
  assert.equal(
    encodeSpec({ hard: 18446744073709551615n, soft: -1n, none: undefined, list: [1, 'a"'] }),
    '{"hard":18446744073709551615,"soft":-1,"list":[1,"a\\""]}',
  );
});

test('a string with a NUL is refused at any position', () => {
  for (const value of ['\0', { args: ['/bin/sh\0ok'] }, { env: ['A=b\0LD_PRELOAD=/x'] }, { 'a\0b': '1' }])
    assert.throws(() => encodeSpec(value), { kind: 'invalid', message: /NUL/ });
});
