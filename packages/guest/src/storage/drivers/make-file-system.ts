import { GuestError } from '../../error/guest-error.js';
import type { Tools } from '../../tool/tools.js';

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

/** Formats a disk. Its content is lost. */
export async function makeFileSystem(disk: string, fstype: string, tools: Tools): Promise<void> {
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `a blank disk can be formatted as ext4, not ${JSON.stringify(fstype)}`);
  const { status, stderr } = await tools.run({ program: 'mkfs.ext4', package: 'e2fsprogs' }, [
    '-q',
    '-F',
    ...emptyDirOptions,
    disk,
  ]);
  if (status !== 0) throw new GuestError('internal', `mkfs.ext4 ${disk}: ${stderr}`);
}
