import type { Storage } from '../request/actions.js';
import { storageDriver } from './drivers/storage-drivers.js';

/**
 * Reports whether a storage is kept until the sandbox ends: it is shared, or holds a pod's data outside of the
 * container's own bundle. Pure.
 */
export function outlivesContainer({ shared, driver, mountPoint }: Storage, bundle: string): boolean {
  return shared || (storageDriver(driver).ofPod && !mountPoint.startsWith(`${bundle}/`));
}
