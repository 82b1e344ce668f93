import { statSync } from 'node:fs';
import type { Storage } from '../../request/actions.js';
import { deviceNumber } from '../../device/device-number.js';
import { GuestError } from '../../error/guest-error.js';
import { openPlace, unmountPlace } from '../mount-point.js';
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
  const { dataHub, made, place } = context;
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
  openPlace(context).close();
  await dataHub.secureMount(
    { device: `${major}:${minor}`, makeOptions: emptyDirOptions.join(' '), mountPoint },
    undefined,
  );
  made.push(`mount at ${place}`, () => unmountPlace(context));
}
