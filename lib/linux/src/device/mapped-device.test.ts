import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { SyscallError } from '../syscalls/syscall-error.js';
import { createMappedDevice, cryptTarget, removeMappedDevice } from './mapped-device.js';

const control = '/dev/mapper/control';
const table = { sectors: 16, target: 'verity', parameters: '1 7:0 7:0 4096' };

/** A kernel whose device mapper gives each new device the minor number 300, and the requests that it got. */
function mapper(failing?: number): {
  readonly kernel: RecordingSyscalls;
  readonly requests: [number, Buffer][];
} {
  const requests: [number, Buffer][] = [];
  const kernel = new RecordingSyscalls({
    deviceMapper: (_fd, command, argument) => {
      requests.push([command, Buffer.from(argument)]);
      if (command === failing) throw SyscallError.named('ioctl', 'EINVAL');
      if (command === 3) Buffer.from(argument.buffer).writeBigUInt64LE((253n << 8n) | (1n << 20n) | 44n, 40);
    },
  });
  return { kernel, requests };
}

test('a device is created, gets its table and becomes active, and the name of its node is returned', () => {
  const { kernel, requests } = mapper();
  assert.equal(createMappedDevice(kernel, control, 'layer', table), 'dm-300');
  assert.deepEqual(
    requests.map(([command]) => command),
    [3, 9, 6],
  );
  for (const [, request] of requests) {
    assert.equal(request.readUInt32LE(0), 4);
    assert.equal(request.readUInt32LE(12), request.length);
    assert.equal(request.readUInt32LE(28), 1, 'read-only');
    assert.equal(request.toString('latin1', 48, 54), 'layer\0');
  }
  const load = requests[1]?.[1] ?? Buffer.alloc(0);
  assert.equal(load.readUInt32LE(20), 1);
  assert.equal(load.readBigUInt64LE(312 + 8), 16n);
  assert.equal(load.toString('latin1', 312 + 24, 312 + 31), 'verity\0');
  assert.equal(load.toString('latin1', 312 + 40, 312 + 55), `${table.parameters}\0`);
  assert.equal(load.length % 8, 0);
  assert.equal(kernel.openDescriptors.size, 0);
});

test('a device with a key can be written, and the kernel wipes its copy of the table alone', () => {
  const { kernel, requests } = mapper();
  const key = Buffer.alloc(64, 0xab);
  createMappedDevice(kernel, control, 'disk', cryptTarget({ disk: '7:0', size: 8192, key }));
  assert.deepEqual(
    requests.map(([, request]) => request.readUInt32LE(28)),
    [0, 1 << 15, 0],
  );
  const load = requests[1]?.[1] ?? Buffer.alloc(0);
  assert.equal(load.readBigUInt64LE(312 + 8), 16n);
  const [target = '', , , , , , , , ...text] = load.toString('latin1', 312 + 24).split('\0');
  assert.equal(target, 'crypt');
  assert.equal(text.join(''), `aes-xts-plain64 ${'ab'.repeat(64)} 0 7:0 0 1 sector_size:4096`);
});

test('a device whose table is rejected is removed', () => {
  const { kernel, requests } = mapper(9);
  assert.throws(() => createMappedDevice(kernel, control, 'layer', table), { code: 'EINVAL' });
  assert.deepEqual(
    requests.map(([command]) => command),
    [3, 9, 4],
  );
  assert.equal(requests[2]?.[1].readUInt32LE(28), 1 << 17, 'also while something has it open');
  assert.equal(kernel.openDescriptors.size, 0);
});

test('removing a device that does not exist is no error', () => {
  for (const code of ['ENXIO', 'ENOENT']) {
    const kernel = new RecordingSyscalls();
    kernel.fail('deviceMapper', code);
    removeMappedDevice(kernel, control, 'layer');
  }
  const kernel = new RecordingSyscalls();
  kernel.fail('deviceMapper', 'EPERM');
  assert.throws(() => removeMappedDevice(kernel, control, 'layer'), { code: 'EPERM' });
});

test('a name that does not fit is rejected', () => {
  const { kernel } = mapper();
  assert.throws(() => createMappedDevice(kernel, control, 'n'.repeat(128), table), { code: 'EINVAL' });
});
