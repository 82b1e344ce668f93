import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { guestDetails } from './details.js';
import { makeTree } from '../testing/tree.js';

/** `STORAGE_HANDLERS` of Kata 4.1 on x86_64 (src/agent/src/storage/mod.rs). */
const ofKata = [
  'blk',
  'ephemeral',
  'erofs.multi-layer',
  'image_guest_pull',
  'local',
  'mmioblk',
  'nvdimm',
  'overlayfs',
  'scsi',
  'virtio-fs',
  'watchable-bind',
];

test('storage handlers are those of Kata and bind; device handlers are the types that can be attached', () => {
  const query = { memoryBlockSize: false, memoryHotplugProbe: false };
  const { storageHandlers, deviceHandlers } = guestDetails(query, '/nonexistent', true);
  assert.deepEqual(
    storageHandlers.filter((name) => !ofKata.includes(name)),
    ['bind'],
  );
  assert.equal(storageHandlers.length, ofKata.length + 1);
  assert.deepEqual(deviceHandlers.toSorted(), [
    'blk',
    'mmioblk',
    'nvdimm',
    'scsi',
    'vfio-pci',
    'vfio-pci-gk',
  ]);
});

test('memory block size and hotplug probe are returned if they exist and are requested', (t) => {
  const sys = makeTree({
    'devices/system/memory/block_size_bytes': '8000000\n',
    'devices/system/memory/probe': '',
  });
  t.after(() => rmSync(sys, { recursive: true }));
  const all = guestDetails({ memoryBlockSize: true, memoryHotplugProbe: true }, sys, true);
  assert.equal(all.memoryBlockSize, 0x8000000);
  assert.ok(all.memoryHotplugProbe && all.supportsSeccomp && !all.initDaemon);
  assert.deepEqual(all.storageHandlers, [
    'bind',
    'blk',
    'mmioblk',
    'scsi',
    'nvdimm',
    'ephemeral',
    'image_guest_pull',
    'local',
    'erofs.multi-layer',
    'overlayfs',
    'virtio-fs',
    'watchable-bind',
  ]);
  assert.deepEqual(all.extraFeatures, ['agent-policy', 'seccomp']);
  const none = guestDetails({ memoryBlockSize: false, memoryHotplugProbe: false }, sys, false);
  assert.equal(none.memoryBlockSize, 0);
  assert.ok(!none.memoryHotplugProbe);
  assert.deepEqual(none.extraFeatures, ['agent-policy']);
  assert.equal(
    guestDetails({ memoryBlockSize: true, memoryHotplugProbe: true }, '/nonexistent', false).memoryBlockSize,
    0,
  );
});

test('an invalid block size is an error', (t) => {
  const sys = makeTree({ 'devices/system/memory/block_size_bytes': 'x\n' });
  t.after(() => rmSync(sys, { recursive: true }));
  assert.throws(() => guestDetails({ memoryBlockSize: true, memoryHotplugProbe: true }, sys, true), {
    kind: 'internal',
  });
});
