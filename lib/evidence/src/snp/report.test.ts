import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EvidenceFormError } from '../evidence-error.js';
import { parseSnpCertificateTable } from './report.js';

const vcek = '63da758d-e664-4564-adc5-f4b93be8accd';
const ark = 'c0b406a4-a803-4952-9743-3fb6014cd0ae';
const other = 'ecae0c0f-9502-43b1-afa2-0ae2e0d565b6';

/** Encodes a GUID: its first three parts are little-endian. */
function encodeId(id: string): Buffer {
  const parts = id.split('-').map((part) => Buffer.from(part, 'hex'));
  return Buffer.concat(parts.map((part, index) => (index < 3 ? part.reverse() : part)));
}

function makeTable(entries: readonly (readonly [string, Uint8Array])[]): Buffer {
  let offset = 24 * (entries.length + 1);
  const head = entries.map(([id, data]) => {
    const entry = entryOf(id, offset, data.length);
    offset += data.length;
    return entry;
  });
  return Buffer.concat([...head, Buffer.alloc(24), ...entries.map(([, data]) => data), Buffer.alloc(100)]);
}

function entryOf(id: string, offset: number, length: number): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32LE(offset, 0);
  numbers.writeUInt32LE(length, 4);
  return Buffer.concat([encodeId(id), numbers]);
}

test('certificates are returned, other entries ignored', () => {
  const table = makeTable([
    [vcek, Buffer.from('one')],
    [other, Buffer.from('two')],
    [ark, Buffer.from('three')],
  ]);
  assert.deepEqual(
    parseSnpCertificateTable(table).map((bytes) => Buffer.from(bytes).toString()),
    ['one', 'three'],
  );
  assert.deepEqual(parseSnpCertificateTable(Buffer.alloc(4096)), []);
});

test('a certificate may end with the table', () => {
  const table = Buffer.concat([entryOf(vcek, 48, 3), Buffer.alloc(24), Buffer.from('end')]);
  assert.equal(Buffer.from(parseSnpCertificateTable(table)[0] ?? []).toString(), 'end');
});

test('entries that are outside, cut off or without end are refused', () => {
  for (const table of [
    new Uint8Array(),
    Buffer.concat([entryOf(vcek, 48, 1), Buffer.alloc(24)]),
    Buffer.concat([entryOf(vcek, 0, 1), Buffer.alloc(24)]),
    Buffer.concat([entryOf(vcek, 0xffff_ffff, 0xffff_ffff), Buffer.alloc(24)]),
    entryOf(vcek, 24, 0),
    makeTable(Array.from({ length: 17 }, () => [other, new Uint8Array()])),
  ])
    assert.throws(() => parseSnpCertificateTable(table), EvidenceFormError);
});

test('any bytes are a table or an EvidenceFormError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      try {
        parseSnpCertificateTable(bytes);
      } catch (error) {
        assert.ok(error instanceof EvidenceFormError);
      }
    }),
  );
});
