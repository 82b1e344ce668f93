import type { Storage } from '../actions.js';
import { cleanPath } from '../source/clean-path.js';

/**
 * Storages of a request with clean mount points, as all that follows compares them: `/a//b/` and `/a/./b` are `/a/b`.
 *
 * @throws GuestError `invalid` for a mount point that is relative or has `..`.
 */
export function cleanStorages(storages: readonly Storage[]): readonly Storage[] {
  return storages.map((storage) => ({
    ...storage,
    mountPoint: `/${cleanPath(storage.mountPoint, 'mount point of a storage').join('/')}`,
  }));
}
