import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvidenceFormError } from './evidence-error.js';
import { ByteReader } from './byte-reader.js';

test('fields are read in order, little-endian', () => {
  const reader = new ByteReader(Buffer.from('0102000300000004000000000000000000', 'hex'), 'it');
  assert.deepEqual([reader.u8('a'), reader.u16('b'), reader.u32('c'), reader.u64('d')], [1, 2, 3, 4n]);
  assert.deepEqual([reader.at, reader.left], [15, 2]);
  reader.zeros(2, 'e');
  reader.end();
});

test('fields are read in order, big-endian', () => {
  const reader = new ByteReader(
    Buffer.from('01000200000003000000000000000400020506', 'hex'),
    'it',
    'big-endian',
  );
  assert.deepEqual([reader.u8('a'), reader.u16('b'), reader.u32('c'), reader.u64('d')], [1, 2, 3, 4n]);
  assert.deepEqual([...reader.sized('e')], [5, 6]);
  reader.end();
});

test('a part of a larger buffer is read alone', () => {
  const reader = new ByteReader(Buffer.from('ff01ff', 'hex').subarray(1, 2), 'it');
  assert.equal(reader.u8('a'), 1);
  assert.throws(() => reader.u8('b'), EvidenceFormError);
});

test('missing bytes, bytes that follow and reserved bytes are errors that name the field', () => {
  const reader = (): ByteReader => new ByteReader(Buffer.from([1, 2]), 'it');
  assert.throws(
    () => reader().take(3, 'FIELD'),
    /^EvidenceFormError: it is not valid: it ends inside FIELD: 3 bytes are/,
  );
  assert.throws(() => reader().end(), /^EvidenceFormError: it is not valid: 2 bytes follow its end/);
  assert.throws(() => reader().zeros(1, 'FIELD'), /^EvidenceFormError: it is not valid: FIELD is not zero/);
});
