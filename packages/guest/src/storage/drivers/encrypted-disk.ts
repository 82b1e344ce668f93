import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { mounts, mountsBelow } from '@kata-agent/linux';
import { openMounted, withMountDirectory } from '../../confidential/mount-directory.js';
import type { Storage } from '../../request/actions.js';
import { deviceNumber } from '../../device/device-number.js';
import { GuestError } from '../../error/guest-error.js';
import { bindAt } from '../mount-point.js';
import { emptyDirOptions } from './make-file-system.js';
import type { StorageContext } from './storage-driver.js';

/**
 * Mounts a blank disk through the data hub, which encrypts it with a key in the guest's memory (docs/coco-facts.md, "Secure storage").
 * Kata's agent does nothing without a data hub, and answers OK; here that is an error, since the data would be the host's.
 */
export async function mountEncrypted(
  { disk, fstype, mountPoint, options }: Storage & { readonly disk: string },
  context: StorageContext,
): Promise<void> {
  const { dataHub } = context;
  if (fstype !== 'ext4')
    throw new GuestError('invalid', `an encrypted disk is formatted as ext4, not ${JSON.stringify(fstype)}`);
  if (options.some((option) => option !== '' && !option.startsWith('fsgid=')))
    throw new GuestError(
      'refused',
      `mount options of an encrypted disk are not supported: ${options.join(',')}`,
    );
  if (dataHub === undefined)
    throw new GuestError(
      'precondition',
      `the disk for ${mountPoint} cannot be encrypted: this guest has no confidential data hub; help: add it to the image, and set guest_components_procs = "confidential-data-hub"`,
    );
  const { major, minor } = deviceNumber(BigInt(statSync(disk).rdev));
  // The data hub resolves the path by itself, and can be late: never one of the request, where the host may have put a link.
  await withMountDirectory(context, async (directory) => {
    const encrypted = join(directory, 'disk');
    mkdirSync(encrypted);
    await dataHub.secureMount(
      { device: `${major}:${minor}`, makeOptions: emptyDirOptions.join(' '), mountPoint: encrypted },
      undefined,
    );
    if (mountsBelow(encrypted, mounts()).length !== 1)
      throw new GuestError(
        'precondition',
        `the confidential data hub has not mounted the encrypted disk for ${mountPoint}`,
      );
    const descriptor = openMounted(directory, 'disk', context.syscalls);
    bindAt({ descriptor, isDirectory: true, writable: true }, [], context);
  });
}
