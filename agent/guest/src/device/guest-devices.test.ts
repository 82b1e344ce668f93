import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBoundNodes } from './guest-devices.js';

test('a device that the guest has under the same path passes', () => {
  checkBoundNodes([{ path: '/dev/null', type: 'c', major: 1, minor: 3 }], '/dev');
});

test('a FIFO is created and not bound', () => {
  checkBoundNodes([{ path: '/dev/pipe', type: 'p', major: 0, minor: 0 }], '/dev');
});

const others = {
  'another number': { path: '/dev/null', type: 'c', major: 1, minor: 5 },
  'another type': { path: '/dev/null', type: 'b', major: 1, minor: 3 },
  'no node': { path: '/dev/no-such-device', type: 'b', major: 8, minor: 1 },
  'a directory': { path: '/dev/fd', type: 'c', major: 0, minor: 0 },
} as const;
for (const [what, device] of Object.entries(others)) {
  test(`${what} in the guest is refused`, () => {
    assert.throws(() => checkBoundNodes([device], '/dev'), /with a user namespace: the guest has .*help:/s);
  });
}
