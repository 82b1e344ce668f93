import { isDeepStrictEqual } from 'node:util';
import { blockDrivers } from '../device/requested-devices.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { Storage } from '../request/actions.js';

/** A driver option: the guest makes the file system of the disk, which is a volume of the pod then. */
const createFileSystem = 'create_filesystem';

/**
 * Refuses a storage on the disk of another storage if either is a blank disk that the guest formats: such a disk is one volume
 * (S38). Other disks may have several storages, as the layers of an image. Pure.
 *
 * @param others the storages at other mount points
 * @throws GuestError `refused`
 */
export function refuseUsedDisk(storage: Storage, others: readonly Storage[]): void {
  for (const disk of disksOf(storage))
    for (const other of others)
      for (const theirs of disksOf(other))
        if (isSame(disk, theirs) && (isBlank(disk) || isBlank(theirs)))
          throw new GuestError(
            'refused',
            `disk ${quotedWord(disk.source)} is that of the storage at ${other.mountPoint}: an emptyDir has a disk of its own`,
          );
}

function disksOf(storage: Storage): readonly Storage[] {
  const disks: readonly string[] = blockDrivers;
  return [storage, ...(storage.layers ?? [])].filter(({ driver }) => disks.includes(driver));
}

function isSame(one: Storage, other: Storage): boolean {
  return one.driver === other.driver && one.source === other.source;
}

function isBlank({ driverOptions }: Storage): boolean {
  return driverOptions.includes(createFileSystem);
}

/**
 * Refuses a storage at the mount point of another one, unless both requests are equal: then they share it (S31). Pure.
 *
 * @throws GuestError `exists`
 */
export function refuseOtherRequest(storage: Storage, mounted: Storage): void {
  if (isDeepStrictEqual(comparedFields(mounted), comparedFields(storage))) return;
  throw new GuestError(
    'exists',
    `another storage is mounted at ${storage.mountPoint}: ${mounted.driver} of ${JSON.stringify(mounted.source)}`,
  );
}

/** The fields by which two requests for a storage are compared. */
function comparedFields({
  driver,
  driverOptions,
  source,
  fstype,
  options,
  fsGroup,
  shared,
  layers,
}: Storage): object {
  return { driver, driverOptions, source, fstype, options, fsGroup, shared, layers };
}
