import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EvidenceFormError } from '../evidence-error.js';
import { initialValue, parseTcgLog, replay } from './event-log.js';

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);
const u32 = (value: number): Buffer => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);
const sha = (bank: string, ...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash(bank);
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** A log's head: SHA-1, SHA-256, and an algorithm that nobody knows, of 3 bytes. */
const headData = Buffer.concat([
  Buffer.from('Spec ID Event03\0', 'latin1'),
  u32(0),
  Buffer.from([0, 2, 0, 2]),
  u32(3),
  u16(4),
  u16(20),
  u16(0xb),
  u16(32),
  u16(0x99),
  u16(3),
  Buffer.from([0]),
]);
const head = Buffer.concat([u32(0), u32(3), Buffer.alloc(20), u32(headData.length), headData]);

/** An event whose digests are those of its data. */
function entry(register: number, type: number, data: string): Buffer {
  return Buffer.concat([
    u32(register),
    u32(type),
    u32(3),
    u16(4),
    sha('sha1', data),
    u16(0x99),
    Buffer.from('abc'),
    u16(0xb),
    sha('sha256', data),
    u32(data.length),
    Buffer.from(data, 'latin1'),
  ]);
}

const log = Buffer.concat([
  head,
  entry(0, 3, 'StartupLocality\0\u0003'),
  entry(0, 8, 'firmware'),
  entry(4, 13, 'loader'),
  entry(4, 13, 'kernel'),
  entry(4, 3, 'not extended'),
]);

test('a log is replayed, from the locality in which the TPM was started', () => {
  const events = parseTcgLog(log, 'log');
  assert.deepEqual(
    events.map(({ register, type }) => [register, type]),
    [
      [0, 3],
      [0, 8],
      [4, 13],
      [4, 13],
      [4, 3],
    ],
  );
  for (const bank of ['sha1', 'sha256']) {
    const zeros = Buffer.from(initialValue(bank), 'hex');
    const started = Buffer.from(zeros);
    started[started.length - 1] = 3;
    const values = replay(events, bank);
    assert.equal(values.get(0), sha(bank, started, sha(bank, 'firmware')).toString('hex'));
    const loader = sha(bank, zeros, sha(bank, 'loader'));
    assert.equal(values.get(4), sha(bank, loader, sha(bank, 'kernel')).toString('hex'));
    assert.equal(values.get(7), undefined);
  }
  // No event has a digest of this bank: the values are unknown, and not zero.
  const unknown = replay(events, 'sha384');
  assert.ok(unknown.has(4));
  assert.equal(unknown.get(4), undefined);
});

test('a log of a TPM 1.2, a truncated one, and one with an algorithm that its head does not name are refused', () => {
  assert.throws(() => parseTcgLog(entry(0, 8, 'firmware'), 'log'), EvidenceFormError);
  const foreign = Buffer.concat([u32(0), u32(8), u32(1), u16(0xc), Buffer.alloc(48), u32(0)]);
  assert.throws(() => parseTcgLog(Buffer.concat([head, foreign]), 'log'), /algorithm 12/);
  const whole = (length: number): boolean => {
    try {
      parseTcgLog(log.subarray(0, length), 'log');
      return true;
    } catch (error) {
      assert.ok(error instanceof EvidenceFormError);
      return false;
    }
  };
  const complete = Array.from({ length: log.length + 1 }, (_, length) => length).filter(whole);
  // After the head, and after each of the five events.
  assert.equal(complete.length, 6, complete.join());
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseTcgLog(Buffer.concat([head, bytes]), 'log');
      } catch (error) {
        assert.ok(error instanceof EvidenceFormError);
      }
    }),
  );
});
