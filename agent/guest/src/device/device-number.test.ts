import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceNumber } from './device-number.js';

test('major and minor are decoded from st_rdev', () => {
  assert.deepEqual(deviceNumber(0x0701n), { major: 7, minor: 1 });
  assert.deepEqual(deviceNumber(0x10_3200n), { major: 0x32, minor: 0x100 });
  assert.deepEqual(deviceNumber(0xabcd_e000_0000_0000n), { major: 0xabcd_e000, minor: 0 });
  assert.deepEqual(deviceNumber(0xfff1_23ffn), { major: 0x123, minor: 0xfffff });
});
