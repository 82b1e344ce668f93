import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitStatus } from '../index.js';

test('a wait(2) status becomes a shell’s exit code', () => {
  assert.deepEqual(exitStatus(0), { code: 0 });
  assert.deepEqual(exitStatus(7 << 8), { code: 7 });
  assert.deepEqual(exitStatus(255 << 8), { code: 255 });
  assert.deepEqual(exitStatus(9), { code: 137, signal: 9 });
  assert.deepEqual(exitStatus(15), { code: 143, signal: 15 });
  // 0x80: core dumped.
  assert.deepEqual(exitStatus(11 | 0x80), { code: 139, signal: 11 });
});
