import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { attachDeviceFilter, deviceFilter } from './device-filter.js';

test('no jump of a filter leaves it, and it ends by allowing', () => {
  const filter = deviceFilter([
    { major: 5, minor: 1 },
    { major: 10, minor: 200 },
  ]);
  const count = filter.length / 8;
  for (let at = 0; at < count; at += 1) {
    const code = filter.readUInt8(at * 8);
    const target = at + 1 + filter.readInt16LE(at * 8 + 2);
    const jumps = (code & 0x07) === 0x05 && code !== 0x95;
    if (jumps) assert.ok(target > at && target < count, `${at}: ${target}`);
  }
  assert.equal(filter.toString('hex', filter.length - 16), 'b7000000010000009500000000000000');
});

test('a filter is attached to the directory, and no descriptor remains, also on failure', () => {
  const kernel = new RecordingSyscalls();
  const filter = deviceFilter([]);
  attachDeviceFilter(kernel, '/sys/fs/cgroup/pod', filter);
  assert.deepEqual(
    kernel.calls.map(({ name }) => name),
    ['openat', 'loadDeviceFilter', 'attachDeviceFilter', 'close', 'close'],
  );
  assert.deepEqual(kernel.argumentsOf('attachDeviceFilter'), [[1000, 1001]]);
  for (const failing of ['loadDeviceFilter', 'attachDeviceFilter'] as const) {
    kernel.fail(failing, 'EPERM');
    assert.throws(() => attachDeviceFilter(kernel, '/sys/fs/cgroup/pod', filter), { code: 'EPERM' });
    assert.equal(kernel.openDescriptors.size, 0);
  }
});
