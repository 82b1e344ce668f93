import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { MeasurementError, rtmrRegister } from './index.js';
import { FakeKernel } from './kernel-files.test.fixture.js';

const path = '/t/sys/devices/virtual/misc/tdx_guest/measurements/rtmr3:sha384';

test('RTMR 3 takes 48 bytes and is register 4 of an event log', async () => {
  const kernel = new FakeKernel();
  kernel.files.set(path, Buffer.alloc(48));
  const register = rtmrRegister('/t', kernel);
  assert.deepEqual([register.name, register.kind, register.index], ['RTMR 3', 'rtmr', 4]);
  assert.deepEqual(await register.read(), { sha384: '00'.repeat(48) });
  await register.extend({ sha384: 'ab'.repeat(48) });
  const expected = createHash('sha384').update(Buffer.alloc(48)).update(Buffer.alloc(48, 0xab)).digest('hex');
  assert.deepEqual(await register.read(), { sha384: expected });
});

test('a missing RTMR and one of another size are errors that say what is required', async () => {
  await assert.rejects(
    rtmrRegister('/t', new FakeKernel()).read(),
    /RTMR 3 cannot be read: .*a TDX guest with Linux 6\.16/,
  );
  const kernel = new FakeKernel();
  kernel.files.set(path, Buffer.alloc(32));
  await assert.rejects(rtmrRegister('/t', kernel).read(), /has 32 bytes, not 48/);
});

test('the real files of this machine, which is not a TDX guest, give that error', async () => {
  await assert.rejects(rtmrRegister().read(), MeasurementError);
});
