import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOverlap } from './listener-place.js';

for (const [one, other, overlap] of [
  ['vsock://-1:1024', 'vsock://-1:1024', true],
  ['vsock://-1:1024', 'vsock://3:1024', true],
  ['vsock://3:1024', 'vsock://03:1024', true],
  ['vsock://3:1024', 'vsock://4:1024', false],
  ['vsock://-1:1024', 'vsock://-1:1025', false],
  ['unix:///run/a', 'unix:///run/a', true],
  ['unix:///run/a', 'unix:///run//./a', true],
  ['unix:///run/a', 'unix:///run/x/../a', true],
  ['unix:///run/a', 'unix:///run/b', false],
  ['unix://@a', 'unix://@a', true],
  ['unix://@a/b', 'unix://@a//b', false],
  ['unix:///a', 'unix://@/a', false],
  ['unix:///1:2', 'vsock://1:2', false],
] as const) {
  test(`${one} and ${other} ${overlap ? 'overlap' : 'do not overlap'}`, () => {
    assert.equal(addressesOverlap(one, other), overlap);
    assert.equal(addressesOverlap(other, one), overlap);
  });
}
