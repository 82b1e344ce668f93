import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, StringValueSchema } from '@bufbuild/protobuf/wkt';
import * as fc from 'fast-check';
import { Code, codeName, decodeStatus, encodeStatus, TtrpcError } from '../status.js';
import { ResponseMessage } from '../demo.test.fixture.js';
import { readResponse } from './envelopes.js';

function read(bytes: Uint8Array) {
  const buffer = Buffer.from(bytes);
  return readResponse(buffer, 0, buffer.length);
}

test('reads envelopes that protobuf encodes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.integer({ min: 1, max: 16 }),
      fc.string({ unit: 'grapheme' }),
      (payload, code, message) => {
        const details = [anyPack(StringValueSchema, create(StringValueSchema, { value: message }))];
        const fields = { payload, status: { code, message, details } };
        const envelope = read(toBinary(ResponseMessage, create(ResponseMessage, fields)));
        assert.deepEqual(envelope.payload, new Uint8Array(payload));
        const error = envelope.status === undefined ? undefined : decodeStatus(envelope.status);
        assert.equal(error?.code, code);
        assert.equal(error.message, message);
        assert.deepEqual(error.details, details);
      },
    ),
  );
});

test('a status is encoded and decoded unchanged', () => {
  const details = [anyPack(StringValueSchema, create(StringValueSchema, { value: 'x' }))];
  const error = new TtrpcError(Code.NotFound, 'no container', { details });
  const back = decodeStatus(encodeStatus(error));
  assert.deepEqual([back?.code, back?.message, back?.details], [Code.NotFound, 'no container', details]);
  assert.equal(back?.name, 'TtrpcError(NOT_FOUND)');
});

test('status OK is not an error, an unknown code is UNKNOWN, unknown fields are skipped', () => {
  assert.equal(decodeStatus(new Uint8Array(0)), undefined);
  assert.equal(decodeStatus(Uint8Array.of(0x08, 0)), undefined);
  assert.equal(decodeStatus(Uint8Array.of(0x08, 99, 0x20, 1))?.code, Code.Unknown);
});

test('a message that is too long is truncated, so that an error always fits', () => {
  const bytes = encodeStatus(new TtrpcError(Code.Internal, 'x'.repeat(1_000_000)));
  assert.equal(decodeStatus(bytes)?.message.length, 65_536);
});

test('unknown fields of a response are skipped', () => {
  const { status, payload } = read(Uint8Array.of(0x18, 5, 0x12, 1, 9));
  assert.equal(status, undefined);
  assert.deepEqual(payload, Uint8Array.of(9));
});

test('codes have gRPC’s names', () => {
  assert.equal(codeName(Code.Ok), 'OK');
  assert.equal(codeName(Code.DeadlineExceeded), 'DEADLINE_EXCEEDED');
  assert.equal(codeName(99), 'CODE_99');
});
