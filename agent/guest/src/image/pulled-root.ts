import { join } from 'node:path';
import { GuestError } from '../error/guest-error.js';
import { quotedPath } from '../quoted.js';
import type { CreateContainer, Storage } from '../request/actions.js';
import { checkOneImage } from './guest-pull.js';
import { guestPullDriver } from '../storage/drivers/image-guest-pull.js';

/**
 * Returns the storage by which a request asks the guest to pull the root; undefined: there is none.
 *
 * @throws GuestError `invalid` or `refused` if the request is inconsistent
 */
export function pulledRootOf(
  { id, storages, spec }: Pick<CreateContainer, 'id' | 'storages' | 'spec'>,
  { kata }: { readonly kata: string },
): Storage | undefined {
  const [storage, another] = storages.filter(({ driver }) => driver === guestPullDriver);
  if (storage === undefined) return undefined;
  if (another !== undefined)
    throw new GuestError(
      'invalid',
      `two storages have the driver ${guestPullDriver}: a container has one root`,
    );
  const place = join(kata, id, 'rootfs');
  if (storage.mountPoint !== place)
    throw new GuestError(
      'refused',
      `mount point ${quotedPath(storage.mountPoint)} of ${guestPullDriver} is not ${place}`,
    );
  checkOneImage(storage, spec.annotations ?? {});
  return storage;
}
