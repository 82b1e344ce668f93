import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { encodeIpAddress, formatIpAddress } from './ip-address.js';

test('addresses are encoded from each notation, and formatted as inet_ntop(3) does', () => {
  for (const [text, hex, formatted = text] of [
    ['10.9.0.2', '0a090002'],
    ['255.255.255.255', 'ffffffff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['1:0:0:4:5:6:7:8', '00010000000000040005000600070008', '1::4:5:6:7:8'],
    ['1::4:5:6:7:8', '00010000000000040005000600070008'],
    ['FD09:0::ABCD', 'fd09000000000000000000000000abcd', 'fd09::abcd'],
    ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304', '64:ff9b::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304', '1:2:3:4:5:6:102:304'],
  ] as const) {
    assert.equal(encodeIpAddress(text).toString('hex'), hex, text);
    assert.equal(formatIpAddress(Buffer.from(hex, 'hex')), formatted);
  }
});

test('what is formatted is encoded to the same bytes', () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.array(fc.constantFrom(0, 0, 1), { minLength: 16, maxLength: 16 }).map((each) => Uint8Array.from(each)),
  );
  fc.assert(
    fc.property(address, (bytes) => {
      assert.deepEqual(encodeIpAddress(formatIpAddress(Buffer.from(bytes))), Buffer.from(bytes));
    }),
    { numRuns: runs(5_000) },
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const bytes = encodeIpAddress(text);
      assert.deepEqual(encodeIpAddress(formatIpAddress(bytes)), bytes);
    }),
    { numRuns: runs(5_000) },
  );
});

test('other texts and lengths are refused', () => {
  for (const text of ['', '10.0.0', 'fe80::1%eth0', 'localhost', '1::2::3'])
    assert.throws(() => encodeIpAddress(text), TypeError);
  for (const length of [0, 3, 5, 20]) assert.throws(() => formatIpAddress(Buffer.alloc(length)), RangeError);
});
