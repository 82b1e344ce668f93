import { numberOfNode } from '../../device/device-number.js';
import { GuestError } from '../../error/guest-error.js';
import type { DiskPrograms, DiskTool } from '../../tool/disk-programs.js';

/** A disk for an emptyDir needs no journal, no blocks reserved for root, and few inodes. */
export const emptyDirOptions: readonly string[] = [
  '-O',
  '^has_journal',
  '-m',
  '0',
  '-i',
  '163840',
  '-I',
  '128',
];

const mkfs: DiskTool = {
  program: 'mkfs.ext4',
  package: 'e2fsprogs',
  // mkfs.ext4 asks sysfs, which it does not see, whether the kernel initializes inode tables later.
  args: ['-q', '-F', '-E', 'lazy_itable_init=1', ...emptyDirOptions],
  files: ['/etc/mke2fs.conf'],
};

/** Formats a disk. Its content is lost. */
export async function makeFileSystem(disk: string, fstype: string, programs: DiskPrograms): Promise<void> {
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `a blank disk can be formatted as ext4, not ${JSON.stringify(fstype)}`);
  await programs.run(mkfs, numberOfNode(disk));
}
