import { blockDrivers } from '../device/requested-devices.js';
import type { Storage } from '../request/actions.js';
import { cleanPath } from '../paths/clean-path.js';
import { KataOptions } from './kata-options.js';
import { combineLayers, isRootLayer } from './root-layers.js';

/**
 * Normalizes the storages of a request: mount points for later comparisons (`/a//b/` and `/a/./b` become `/a/b`), and
 * the layers of a root become one storage.
 *
 * @throws GuestError `invalid` for a mount point that is relative or has `..`, and for layers that are not a root;
 * `refused` for an option `X-kata.*` that is not known, or not for this storage.
 */
export function cleanStorages(storages: readonly Storage[]): readonly Storage[] {
  const clean = storages.map((storage) => {
    KataOptions.parse(storage.options, kataOptionsFor(storage));
    const names = cleanPath(storage.mountPoint, 'mount point of a storage');
    return { ...storage, mountPoint: `/${names.join('/')}` };
  });
  return combineLayers(clean);
}

const disks: ReadonlySet<string> = new Set(blockDrivers);

function kataOptionsFor(storage: Storage): 'layer' | 'disk' | 'other' {
  if (isRootLayer(storage)) return 'layer';
  return disks.has(storage.driver) ? 'disk' : 'other';
}
