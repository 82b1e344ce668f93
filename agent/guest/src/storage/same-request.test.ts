import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '../request/actions.js';
import { refuseOtherRequest } from './same-request.js';

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
