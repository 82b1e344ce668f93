import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  FeatureSet_MessageEncoding,
  FeatureSetSchema,
  FieldOptionsSchema,
  DescriptorProtoSchema,
  Edition,
  FieldDescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorProtoSchema as Large,
  StructSchema,
} from '@bufbuild/protobuf/wkt';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import * as fc from 'fast-check';
import { Code } from '../status.js';
import { Rich } from '../demo.test.fixture.js';
import { scan } from './scan.js';

const limits = { requestFields: 20_000, requestDepth: 100 };
const malformed = { code: Code.InvalidArgument };
const tooMuch = { code: Code.ResourceExhausted };

/** Generates fields of a Rich with `levels` nested levels. */
function richOf(levels: number): fc.Arbitrary<Record<string, unknown>> {
  const below = levels === 0 ? fc.constant({ id: 'leaf' }) : richOf(levels - 1);
  return fc.record(
    {
      id: fc.string({ unit: 'grapheme' }),
      blob: fc.uint8Array(),
      count: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      ratio: fc.double(),
      flag: fc.boolean(),
      small: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      child: below,
      children: fc.array(below, { maxLength: 2 }),
      names: fc.array(fc.string(), { maxLength: 5 }),
      numbers: fc.array(fc.integer(), { maxLength: 5 }),
      loose: fc.array(fc.integer(), { maxLength: 5 }),
      words: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 5 }),
      floats: fc.array(fc.float(), { maxLength: 5 }),
      labels: fc.dictionary(fc.string(), fc.string(), { maxKeys: 4 }),
      parts: fc.dictionary(fc.integer().map(String), below, { maxKeys: 2 }),
      far: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    },
    { requiredKeys: [] },
  );
}

const rich = richOf(2);

test('valid messages pass', () => {
  fc.assert(
    fc.property(rich, (fields) => {
      scan(Rich, toBinary(Rich, create(Rich, fields)), limits);
    }),
    { numRuns: 300 },
  );
});

test('a message that passes is decoded completely, or rejected by the decoder for its text only', () => {
  const near = fc.tuple(rich, fc.nat(), fc.nat({ max: 255 })).map(([fields, at, byte]) => {
    const bytes = toBinary(Rich, create(Rich, fields));
    if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        scan(Rich, bytes, limits);
      } catch {
        return; // rejected: the decoder never sees it
      }
      try {
        fromBinary(Rich, bytes, { readUnknownFields: false });
      } catch (error) {
        assert.match(String(error), /UTF-8|encoded data was not valid/i);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a message may have exactly the limit of fields, not one more', () => {
  const fields = {
    names: ['a', 'b'],
    numbers: [1, 2, 3],
    words: [1n, 2n],
    child: { id: 'x' },
    labels: { k: 'v' },
  };
  const bytes = toBinary(Rich, create(Rich, fields));
  // names 2, numbers 1 + 3, words 1 + 2, child 1 + 1, labels 1 + 2
  scan(Rich, bytes, { ...limits, requestFields: 14 });
  assert.throws(() => scan(Rich, bytes, { ...limits, requestFields: 13 }), tooMuch);
});

test('4 MiB of empty messages, packed elements or unknown fields is rejected', () => {
  const messages = Buffer.alloc(4 << 20);
  for (let at = 0; at < messages.length; at += 2) messages[at] = 0x4a; // children, empty
  assert.throws(() => scan(Rich, messages, limits), tooMuch);
  const unknown = Buffer.alloc(4 << 20);
  for (let at = 0; at < unknown.length; at += 2) unknown[at] = 0x10; // field 2 as a varint
  assert.throws(() => scan(StructSchema, unknown, limits), tooMuch);
  for (const tag of [0x5a, 0x6a, 0x72]) {
    const packed = Buffer.alloc((4 << 20) - 3);
    packed.set([tag, 0xf8, 0xff, 0xff, 0x01]);
    assert.throws(() => scan(Rich, packed, limits), tooMuch, `tag ${tag}`);
  }
});

test('depth counts messages but not map entries, as in the decoder', () => {
  const nest = (levels: number, wrap: (inner: object) => object): Uint8Array => {
    let fields: object = { id: 'x' };
    for (let level = 1; level < levels; level++) fields = wrap(fields);
    return toBinary(Rich, create(Rich, { ...fields }));
  };
  for (const wrap of [(child: object) => ({ child }), (inner: object) => ({ parts: { 1: inner } })]) {
    const deepest = nest(100, wrap);
    scan(Rich, deepest, limits);
    fromBinary(Rich, deepest);
    assert.throws(() => scan(Rich, nest(101, wrap), limits), tooMuch);
    assert.throws(() => scan(Rich, nest(4, wrap), { ...limits, requestDepth: 3 }), tooMuch);
  }
});

for (const [what, bytes] of Object.entries({
  'a known field with another wire type': [0x08, 1],
  'a message field as a varint': [0x40, 2, 0x08],
  'a child that passes its parent’s end': [0x42, 2, 0x0a, 5, 1, 2, 3, 4, 5],
  'a packed varint that passes its end': [0x5a, 1, 0x80, 0x01],
  'packed fixed64 of nine bytes': [0x6a, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  'packed floats of three bytes': [0x72, 3, 1, 2, 3],
  'an end of a group that has not begun': [0x0c],
  'a group that does not end': [0xfb, 0x7d],
  'a group that ends as another': [0xfb, 0x7d, 0xf4, 0x7d],
  'a string cut short': [0x0a, 3, 0x61],
  'a fixed32 cut short': [0x3d, 1],
  'a varint of eleven bytes': [0x20, ...Array<number>(10).fill(0x80), 0],
  'wire type 6': [0xfe, 0x7d],
})) {
  test(`${what} is malformed`, () => {
    assert.throws(() => scan(Rich, Uint8Array.from(bytes), limits), malformed);
  });
}

test('unknown groups are scanned, counted, and limited in depth like messages', () => {
  scan(Rich, Uint8Array.of(0xfb, 0x7d, 0x08, 1, 0xfc, 0x7d), limits);
  const deep = Buffer.concat([
    ...Array.from({ length: 200 }, () => Uint8Array.of(0xfb, 0x7d)),
    ...Array.from({ length: 200 }, () => Uint8Array.of(0xfc, 0x7d)),
  ]);
  assert.throws(() => scan(Rich, deep, limits), tooMuch);
});

test('a repeated number may be packed or not, whatever its declaration', () => {
  scan(Rich, Uint8Array.of(0x58, 1, 0x58, 2, 0x62, 2, 1, 2), limits);
});

test('groups that a descriptor declares are scanned with its fields', () => {
  const file = create(FileDescriptorProtoSchema, {
    name: 'group.proto',
    syntax: 'editions',
    edition: Edition.EDITION_2023,
    messageType: [
      create(DescriptorProtoSchema, {
        name: 'Node',
        field: [
          create(FieldDescriptorProtoSchema, {
            name: 'next',
            number: 1,
            type: FieldDescriptorProto_Type.MESSAGE,
            typeName: '.Node',
            label: FieldDescriptorProto_Label.OPTIONAL,
            options: create(FieldOptionsSchema, {
              features: create(FeatureSetSchema, { messageEncoding: FeatureSet_MessageEncoding.DELIMITED }),
            }),
          }),
        ],
      }),
    ],
  });
  const node = createFileRegistry(file, () => undefined).getMessage('Node');
  assert.ok(node);
  const bytes = toBinary(node, create(node, { next: { next: {} } }));
  scan(node, bytes, { requestFields: 2, requestDepth: 3 });
  assert.throws(() => scan(node, bytes, { requestFields: 2, requestDepth: 2 }), tooMuch);
  assert.throws(() => scan(node, bytes, { requestFields: 1, requestDepth: 3 }), tooMuch);
});

test('a large real message passes: a descriptor of descriptors', () => {
  scan(Large, toBinary(Large, Large.file.proto), limits);
});

test('with refuse, fields that the descriptor does not have are malformed at each depth', () => {
  fc.assert(
    fc.property(rich, (fields) => {
      scan(Rich, toBinary(Rich, create(Rich, fields)), limits, 'refuse');
    }),
  );
  const unknown = Buffer.from([0xfa, 0x3f, 0]); // field 1023, empty
  const within = (field: number, message: Uint8Array): Buffer =>
    Buffer.concat([
      new BinaryWriter()
        .uint32((field << 3) | 2)
        .uint32(message.length)
        .finish(),
      message,
    ]);
  const refused = (bytes: Uint8Array, where: string): void => {
    scan(Rich, bytes, limits);
    assert.throws(() => scan(Rich, bytes, limits, 'refuse'), {
      ...malformed,
      message: `field 1023 of ${where} is not known here`,
    });
  };
  refused(unknown, 'demo.Rich');
  refused(within(8, unknown), 'demo.Rich');
  refused(within(9, within(8, within(9, unknown))), 'demo.Rich');
  refused(within(15, unknown), 'an entry of demo.Rich.labels');
  refused(within(16, within(2, unknown)), 'demo.Rich');
  refused(Buffer.from([0xfb, 0x3f, 0xfc, 0x3f]), 'demo.Rich');
});
