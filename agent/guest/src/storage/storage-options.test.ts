import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDiskOption } from './storage-options.js';

test('each file system has the options that storage classes and CSI drivers set, and no others', () => {
  const known: Readonly<Record<string, readonly string[]>> = {
    ext4: ['commit=60', 'data=ordered', 'nodelalloc', 'prjquota', 'stripe=32', 'nobarrier'],
    ext3: ['data=journal'],
    xfs: ['nouuid', 'inode64', 'logbsize=256k', 'prjquota', 'allocsize=1g'],
    btrfs: ['compress=zstd', 'commit=30'],
  };
  for (const [fstype, options] of Object.entries(known))
    for (const option of options) assert.ok(isDiskOption(fstype, option), `${fstype} ${option}`);
  for (const [fstype, option] of [
    ['ext4', 'inode64'],
    ['xfs', 'commit=60'],
    ['ext4', 'commit='],
    ['ext4', 'commit=1,journal_dev=2049'],
    ['ext4', 'commit=x'],
    ['ext4', 'journal_dev=2049'],
    ['ext4', 'journal_path=/dev/vda'],
    ['ext4', 'usrjquota=/etc/passwd'],
    ['xfs', 'logdev=/dev/vda'],
    ['xfs', 'rtdev=/dev/vda'],
    ['btrfs', 'device=/dev/vda'],
    ['erofs', 'device=/dev/vda'],
    ['vfat', 'commit=60'],
    ['__proto__', 'words'],
  ] as const)
    assert.equal(isDiskOption(fstype, option), false, `${fstype} ${option}`);
});
