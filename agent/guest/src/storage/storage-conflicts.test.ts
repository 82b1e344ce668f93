import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { refuseOtherRequest, refuseUsedDisk } from './storage-conflicts.js';

const volume: Storage = {
  driver: 'blk',
  driverOptions: ['encryption_key=ephemeral', 'create_filesystem'],
  source: '02/01',
  fstype: 'ext4',
  options: [],
  mountPoint: '/kata/sandbox/storage/keys',
  shared: true,
};
const layer: Storage = {
  ...volume,
  driverOptions: [],
  fstype: 'erofs',
  mountPoint: '/kata/c1/rootfs',
  shared: false,
};

test('a disk that the guest formats is one volume, whichever request came first', () => {
  const refusal = {
    kind: 'refused',
    message:
      'disk "02/01" is that of the storage at /kata/sandbox/storage/keys: an emptyDir has a disk of its own',
  };
  const cache = { ...volume, mountPoint: '/kata/sandbox/storage/cache' };
  assert.throws(() => refuseUsedDisk(cache, [volume]), refusal);
  assert.throws(() => refuseUsedDisk({ ...cache, driverOptions: [] }, [volume]), refusal);
  assert.throws(() => refuseUsedDisk(layer, [volume]), refusal);
  const root = { ...layer, driver: 'multi-layer-erofs', source: '', layers: [layer] };
  assert.throws(() => refuseUsedDisk(root, [volume]), refusal);
  assert.throws(() => refuseUsedDisk(volume, [root]), { kind: 'refused' });
});

test('other disks, and layers of one disk, are not refused', () => {
  refuseUsedDisk({ ...volume, source: '02/02' }, [volume]);
  refuseUsedDisk({ ...volume, driver: 'scsi' }, [volume]);
  refuseUsedDisk({ ...layer, mountPoint: '/kata/c2/rootfs' }, [layer]);
  refuseUsedDisk({ ...volume, driver: 'ephemeral', source: 'tmpfs' }, [
    { ...volume, driver: 'ephemeral', source: 'tmpfs' },
  ]);
});

const mounted: Storage = {
  driver: 'blk',
  driverOptions: ['a'],
  source: '02/01',
  fstype: 'ext4',
  options: ['ro'],
  mountPoint: '/kata/sandbox/storage/x',
  shared: false,
};

test('an equal request shares a storage', () => {
  refuseOtherRequest({ ...mounted, options: ['ro'] }, mounted);
  refuseOtherRequest({ ...mounted, mountPoint: '/kata/sandbox/storage/x/' }, mounted);
});

test('a request that differs in any field does not', () => {
  const differences: readonly Partial<Storage>[] = [
    { driver: 'scsi' },
    { driverOptions: [] },
    { source: '02/02' },
    { fstype: 'xfs' },
    { options: ['rw'] },
    { options: ['ro', 'ro'] },
    { shared: true },
    { fsGroup: { groupId: 1, changePolicy: 'always' } },
  ];
  for (const difference of differences)
    assert.throws(() => refuseOtherRequest({ ...mounted, ...difference }, mounted), {
      kind: 'exists',
      message: 'another storage is mounted at /kata/sandbox/storage/x: blk of "02/01"',
    });
});
