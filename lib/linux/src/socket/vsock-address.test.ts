import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  Cid,
  formatVsockAddress,
  parseVsockAddress,
  readVsockSocketAddress,
  vsockSocketAddress,
} from '../index.js';

const word = fc.nat({ max: 0xffff_fffe });
const address = fc.record(
  { cid: fc.oneof(word, fc.constant(Cid.Any)), port: word.filter((port) => port > 0) },
  { noNullPrototype: true },
);

test('formatting and parsing are inverse, as text and as bytes', () => {
  fc.assert(
    fc.property(address, (one) => {
      assert.deepEqual(parseVsockAddress(formatVsockAddress(one)), one);
      assert.deepEqual(readVsockSocketAddress(vsockSocketAddress(one)), one);
    }),
  );
});

test('-1 is any context id', () => {
  assert.deepEqual(parseVsockAddress('vsock://-1:1024'), { cid: 0xffff_ffff, port: 1024 });
  assert.equal(formatVsockAddress({ cid: Cid.Any, port: 1 }), 'vsock://-1:1');
});

test('other texts are rejected, and the error has the format', () => {
  for (const text of ['', 'vsock://', 'vsock://2', 'vsock://2:', 'vsock://-2:1', 'unix:///a', ' vsock://2:1'])
    assert.throws(() => parseVsockAddress(text), /expected vsock:\/\/CID:PORT/, text);
  assert.throws(() => parseVsockAddress('vsock://4294967296:1'), /32 bits/);
  for (const port of ['0', '4294967295', '9999999999'])
    assert.throws(() => parseVsockAddress(`vsock://2:${port}`), /a port is from 1/, port);
});

test('struct sockaddr_vm matches the kernel’s', () => {
  assert.deepEqual(
    [...vsockSocketAddress({ cid: 2, port: 1024 })],
    [40, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
  );
  assert.equal(readVsockSocketAddress(Uint8Array.of(1, 0)), undefined);
  assert.equal(readVsockSocketAddress(new Uint8Array(16)), undefined, 'another family');
});
