import { isDeepStrictEqual } from 'node:util';
import type { Storage } from '../request/actions.js';
import { GuestError } from '../error/guest-error.js';

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
