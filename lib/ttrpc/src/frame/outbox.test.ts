import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { frameData, FrameReader } from './frame.js';
import { Outbox } from './outbox.js';
import { largePart } from './payload.js';

function payloadOf(head: Uint8Array, tail?: Uint8Array) {
  return { head, tail, length: head.length + (tail?.length ?? 0) };
}

test('frames leave in order and complete, for any sizes of their parts', () => {
  const part = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom(largePart - 1, largePart, 20_000, 70_000),
  );
  const frame = fc.record({
    head: part,
    tail: fc.option(part, { nil: undefined }),
    lead: part,
    tag: fc.constantFrom(0, 0x12),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), (frames) => {
      const outbox = new Outbox();
      const expected: Buffer[] = [];
      for (const [index, { head, tail, lead, tag }] of frames.entries()) {
        const parts = [lead, head, tail ?? 0].map((size, at) => new Uint8Array(size).fill(index * 3 + at));
        const [first, second, third] = parts as [Uint8Array, Uint8Array, Uint8Array];
        const payload = payloadOf(second, tail === undefined ? undefined : third);
        outbox.add(index, 3, index, payload, tag, first);
        const prefix = tag === 0 || payload.length === 0 ? [] : [tag, ...varint(payload.length)];
        expected.push(Buffer.concat([first, Uint8Array.from(prefix), second, third]));
      }
      const size = outbox.bytes;
      const chunks = outbox.take();
      assert.equal(outbox.bytes, 0);
      assert.equal(
        chunks.reduce((sum, { length }) => sum + length, 0),
        size,
      );
      const reader = new FrameReader(1 << 22);
      reader.push(Buffer.concat(chunks));
      for (const [index, data] of expected.entries()) {
        const frame = reader.next();
        assert.ok(frame);
        assert.deepEqual([frame.streamId, frame.flags], [index, index]);
        assert.ok(data.equals(frameData(frame)));
      }
      assert.equal(reader.next(), undefined);
    }),
    { numRuns: 200 },
  );
});

test('small frames share a chunk; large parts are not copied', () => {
  const outbox = new Outbox();
  const large = new Uint8Array(largePart);
  for (let id = 1; id < 100; id += 2) outbox.add(id, 2, 0, payloadOf(Uint8Array.of(1, 2, 3)), 0x12);
  outbox.add(101, 2, 0, payloadOf(new Uint8Array(3), large), 0x12);
  const chunks = outbox.take();
  assert.equal(chunks.length, 2);
  assert.equal(chunks[1], large);
});

test('a taken chunk is not written to again', () => {
  const outbox = new Outbox();
  outbox.add(1, 2, 0, payloadOf(Uint8Array.of(1)));
  const [first] = outbox.take();
  const before = Buffer.from(first as Uint8Array);
  outbox.add(3, 2, 0, payloadOf(Uint8Array.of(2)));
  assert.ok(before.equals(first as Uint8Array));
  assert.deepEqual(outbox.take().length, 1);
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
