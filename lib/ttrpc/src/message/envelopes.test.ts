import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { RequestMessage } from '../demo.test.fixture.js';
import { extendLead, metadataPairs, readRequest, requestLead } from './envelopes.js';
import { MalformedMessage } from './wire-cursor.js';

const name = fc.string({ unit: fc.constantFrom('a', 'b', 'X', 'Z', '.', '0', '9', '_'), maxLength: 40 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const pairs = fc.array(
  fc.record({ key: fc.string({ unit: 'grapheme' }), value: fc.string({ unit: 'grapheme' }) }),
);

function read(bytes: Uint8Array, max = 20_000) {
  const buffer = Buffer.from(bytes);
  return readRequest(buffer, 0, buffer.length, max);
}

test('reads envelopes that protobuf encodes', () => {
  fc.assert(
    fc.property(
      name,
      name,
      fc.uint8Array(),
      int64,
      pairs,
      (service, method, payload, timeoutNano, metadata) => {
        const fields = { service, method, payload, timeoutNano, metadata };
        const envelope = read(toBinary(RequestMessage, create(RequestMessage, fields)));
        assert.equal(envelope.service, service);
        assert.equal(envelope.method, method);
        assert.deepEqual(envelope.payload, new Uint8Array(payload));
        assert.equal(envelope.timeoutNano, timeoutNano);
        assert.deepEqual(
          new Map(envelope.metadata),
          metadata.reduce((map, { key, value }) => {
            const lower = key.toLowerCase();
            return map.set(lower, [...(map.get(lower) ?? []), value]);
          }, new Map<string, string[]>()),
        );
      },
    ),
  );
});

test('writes envelopes that protobuf decodes', () => {
  fc.assert(
    fc.property(name, name, int64, pairs, (service, method, timeoutNano, metadata) => {
      const lead = extendLead(
        requestLead(service, method),
        timeoutNano,
        metadata.map(({ key, value }): [string, string] => [key, value]),
      );
      const fields = { service, method, timeoutNano, metadata };
      assert.deepEqual(fromBinary(RequestMessage, lead), create(RequestMessage, fields));
    }),
  );
});

test('unknown fields are skipped; the last of repeated fields counts', () => {
  const lead = requestLead('a', 'b');
  const unknown = Uint8Array.of(0x38, 0x96, 0x01, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 0x4a, 1, 0, 0x55, 1, 2, 3, 4);
  const { service, method } = read(Buffer.concat([lead, unknown, requestLead('c', 'd')]));
  assert.deepEqual([service, method], ['c', 'd']);
});

for (const [what, bytes] of Object.entries({
  'a length past the end': [0x0a, 5, 0x61],
  'a tag cut short': [0x80],
  'field number zero': [0x02, 0],
  'a group': [0x33],
  'wire type 7': [0x37],
  'an endless varint': [0x20, ...Array<number>(10).fill(0x80), 1],
  'a tag of more than 32 bits': [0x80, 0x80, 0x80, 0x80, 0x10],
  'metadata that is not UTF-8': [0x2a, 3, 0x0a, 1, 0xff],
  'a metadata entry with a length past its end': [0x2a, 2, 0x0a, 9],
  'a metadata entry of many fields': [
    0x2a,
    34,
    ...Array<number>(34)
      .fill(0)
      .map((_, index) => (index % 2 ? 0 : 0x18)),
  ],
  'a name of 300 bytes': [0x0a, 0xac, 0x02, ...Array<number>(300).fill(0x61)],
  'a fixed64 cut short': [0x41, 1],
})) {
  test(`${what} is malformed`, () => {
    assert.throws(() => read(Uint8Array.from(bytes)), MalformedMessage);
  });
}

test('an envelope of a million empty fields is rejected before it is scanned', () => {
  const bomb = Buffer.alloc(2_000_000);
  for (let at = 0; at < bomb.length; at += 2) bomb[at] = 0x2a;
  assert.throws(() => read(bomb, 20_000), /more than 20000 fields/);
});

test('a metadata entry may have unknown fields', () => {
  const { metadata } = read(Uint8Array.of(0x2a, 8, 0x0a, 1, 0x4b, 0x12, 1, 0x76, 0x18, 1));
  assert.deepEqual([...metadata], [['k', ['v']]]);
});

test('metadata may be given as an object or a map', () => {
  assert.deepEqual(metadataPairs({ A: '1', b: ['2', '3'] }), [
    ['a', '1'],
    ['b', '2'],
    ['b', '3'],
  ]);
  assert.deepEqual(metadataPairs(new Map([['A', ['1']]])), [['a', '1']]);
});
