import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  BytesValueSchema,
  FileDescriptorProtoSchema,
  UninterpretedOptionSchema,
} from '@bufbuild/protobuf/wkt';
import { Rich } from '../demo.test.fixture.js';
import { encoderOf, largePart, type EncodedPayload } from './payload.js';

const large = new Uint8Array(largePart).fill(7);

function join({ head, tail }: EncodedPayload): Uint8Array {
  return new Uint8Array(Buffer.concat(tail === undefined ? [head] : [head, tail]));
}

test('a large bytes field is passed on without a copy', () => {
  const payload = encoderOf(BytesValueSchema)({ value: large });
  assert.equal(payload.tail, large);
  assert.deepEqual(payload.head, Uint8Array.of(0x0a, 0x80, 0x40));
  assert.equal(payload.length, 3 + largePart);
  assert.deepEqual(fromBinary(BytesValueSchema, join(payload)).value.length, largePart);
});

test('the other fields are encoded and the message is not modified', () => {
  const message = create(Rich, { id: 'x', blob: large, otherBlob: large, far: 5 });
  const before = toBinary(Rich, message);
  const payload = encoderOf(Rich)(message);
  assert.equal(payload.tail, large);
  assert.deepEqual(fromBinary(Rich, join(payload)), fromBinary(Rich, before));
  assert.deepEqual(toBinary(Rich, message), before);
});

test('unknown fields of a message with a single field are kept', () => {
  const known = toBinary(BytesValueSchema, create(BytesValueSchema, { value: large }));
  const message = fromBinary(BytesValueSchema, new Uint8Array([...known, 0x78, 1]));
  const again = fromBinary(BytesValueSchema, join(encoderOf(BytesValueSchema)(message)));
  assert.deepEqual(again, message);
});

test('small messages are encoded the usual way', () => {
  const message = create(BytesValueSchema, { value: Uint8Array.of(1, 2) });
  const payload = encoderOf(BytesValueSchema)(message);
  assert.equal(payload.tail, undefined);
  assert.deepEqual(payload.head, toBinary(BytesValueSchema, message));
});

test('fields with presence can be passed on without a copy', () => {
  const schema = UninterpretedOptionSchema;
  const message = create(schema, { identifierValue: 'x', stringValue: large });
  const again = fromBinary(schema, join(encoderOf(schema)(message)));
  assert.deepEqual(again, message);
  assert.equal(encoderOf(FileDescriptorProtoSchema)({ name: 'x' }).tail, undefined);
});
