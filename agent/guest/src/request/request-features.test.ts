import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestFeatures } from '@kata-agent/catalogue/request-features';
import { attachments } from '../device/attach-devices.js';
import { storageDriver, storageDrivers } from '../storage/drivers/storage-drivers.js';

const storage = {
  source: '00',
  options: [],
  shared: false,
  mountPoint: '/run/kata-containers/sandbox/storage/x',
};

/** Passes a request with the feature to the part of the agent that serves or refuses it. */
const askFor: Readonly<Record<(typeof requestFeatures)[number]['kind'], (name: string) => unknown>> = {
  'storage driver': (name) => storageDriver(name),
  'storage option': (name) =>
    storageDriver('blk').needs?.({
      ...storage,
      driver: 'blk',
      fstype: 'ext4',
      driverOptions: [name, 'create_filesystem'],
    }),
  'device type': (name) =>
    attachments([{ id: addressOf(name), type: name, vmPath: '', containerPath: '/dev/x', options: [] }]),
};

for (const { kind, name, built } of requestFeatures) {
  test(`${kind} ${name} is ${built ? 'served' : 'refused by name'}`, () => {
    if (built) {
      askFor[kind](name);
      return;
    }
    assert.throws(
      () => askFor[kind](name),
      (error: Error & { readonly kind?: string }) =>
        error.kind === 'unimplemented' && error.message.includes(name),
    );
  });
}

test('each storage driver is in the table', () => {
  const listed = requestFeatures.filter(({ kind, built }) => kind === 'storage driver' && built);
  assert.deepEqual(
    storageDrivers.map(({ name }) => name).toSorted(),
    listed.map(({ name }) => name).toSorted(),
  );
});

function addressOf(type: string): string {
  if (type === 'scsi') return '0:0';
  return type === 'blk' ? '00' : '/dev/vda';
}
