import { resolve } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../error/guest-error.js';
import type { DataHub } from './data-hub.js';

/** A blank disk that the data hub encrypts and mounts. */
export interface DiskToEncrypt {
  readonly number: DeviceNumber;
  /** Options of mkfs.ext4. */
  readonly makeOptions: string;
  /** An absolute path: an existing directory of the agent where nothing is mounted. */
  readonly mountPoint: string;
  /** What it is for, in messages. */
  readonly use: string;
}

/**
 * Mounts a blank disk through the data hub, which encrypts it with a key in the guest's memory (docs/records/coco-facts.md, "Secure storage").
 * Kata's agent does nothing without a data hub, and answers OK; here that is an error, since the data would be the host's.
 *
 * @throws GuestError `precondition`: there is no data hub, or it has mounted nothing
 */
export async function encryptDisk(
  { number, makeOptions, mountPoint, use }: DiskToEncrypt,
  dataHub: DataHub | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (dataHub === undefined)
    throw new GuestError(
      'precondition',
      `the disk for ${use} cannot be encrypted: this guest has no confidential data hub; help: add it to the image, and set guest_components_procs = "confidential-data-hub"`,
    );
  const device = `${number.major}:${number.minor}`;
  await dataHub.secureMount({ device, makeOptions, mountPoint }, signal);
  const place = resolve(mountPoint);
  if (mounts().filter(({ target }) => target === place).length !== 1)
    throw new GuestError(
      'precondition',
      `the confidential data hub has not mounted the encrypted disk for ${use}`,
    );
}
