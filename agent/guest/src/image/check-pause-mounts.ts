import { GuestError } from '../error/guest-error.js';
import type { SharedMount } from '../request/actions.js';
import type { OciMount } from '../request/oci-spec.js';
import { quotedPath } from '../quoted.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import { isBind } from '../spec/mounts.js';

/** Where engines bind something in the sandbox's own container. No program of a pause bundle is there. */
const places: readonly string[] = ['/dev', '/run', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

/**
 * Refuses mounts by which the host would run another program than the pause bundle's: rules know the bundle by `image.from` alone. Pure.
 *
 * @throws GuestError `refused`
 */
export function checkPauseMounts(
  mounts: readonly OciMount[],
  sharedMounts: readonly Pick<SharedMount, 'destinationPath'>[] = [],
): void {
  const destinations = [
    ...mounts.filter(isBind).map(({ destination }) => destination),
    ...sharedMounts.map(({ destinationPath }) => destinationPath),
  ];
  for (const destination of destinations) {
    const path = `/${cleanPath(destination, 'destination of a mount').join('/')}`;
    if (!places.some((place) => contains(place, path)))
      throw new GuestError(
        'refused',
        `mount at ${quotedPath(destination)} of the pause container, whose program is of the guest image: only ${places.join(', ')} are allowed; help: mount it in another container`,
      );
  }
}
