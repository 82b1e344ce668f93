import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { encryptDisk } from '../../confidential/data-hub.js';
import { openMounted, withMountDirectory } from '../../confidential/mount-directory.js';
import type { Storage } from '../../request/actions.js';
import { numberOfNode } from '../../device/device-number.js';
import { GuestError } from '../../guest-error.js';
import type { DiskPrograms, DiskTool } from '../../tool/disk-programs.js';
import { bindAt } from '../mount-point.js';
import type { StorageContext } from './storage-driver.js';

/** A disk for an emptyDir needs no journal, no blocks reserved for root, and few inodes. */
const emptyDirOptions: readonly string[] = ['-O', '^has_journal', '-m', '0', '-i', '163840', '-I', '128'];

const mkfs: DiskTool = {
  program: 'mkfs.ext4',
  package: 'e2fsprogs',
  // mkfs.ext4 asks sysfs, which it does not see, whether the kernel initializes inode tables later.
  args: ['-q', '-F', '-E', 'lazy_itable_init=1', ...emptyDirOptions],
  files: ['/etc/mke2fs.conf'],
};

/** Mounts a blank disk through the data hub, encrypted. */
export async function mountEncrypted(
  { disk, fstype, mountPoint, options }: Storage & { readonly disk: string },
  context: StorageContext,
): Promise<void> {
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `an encrypted disk is formatted as ext4, not ${JSON.stringify(fstype)}`);
  if (options.some((option) => option !== '' && !option.startsWith('fsgid=')))
    throw new GuestError(
      'refused',
      `mount options of an encrypted disk are not supported: ${options.join(',')}`,
    );
  const number = numberOfNode(disk);
  // The data hub resolves the path by itself, and can be late: never one of the request, where the host may have put a link.
  await withMountDirectory(context, async (directory) => {
    const encrypted = join(directory, 'disk');
    mkdirSync(encrypted);
    await encryptDisk(
      {
        number,
        makeOptions: emptyDirOptions.join(' '),
        mountPoint: encrypted,
        use: mountPoint,
      },
      context.dataHub,
      undefined,
    );
    const descriptor = openMounted(directory, 'disk', context.syscalls);
    await bindAt({ descriptor, isDirectory: true, writable: true }, [], context);
  });
}

/** Formats a disk. Its content is lost. */
export async function makeFileSystem(disk: string, fstype: string, programs: DiskPrograms): Promise<void> {
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `a blank disk can be formatted as ext4, not ${JSON.stringify(fstype)}`);
  await programs.run(mkfs, numberOfNode(disk));
}
