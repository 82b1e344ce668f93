import type { Storage } from '../request/actions.js';
import { GuestError } from '../guest-error.js';
import type { StorageContext } from './drivers/storage-driver.js';

/**
 * Gives a volume to a pod's group (Kubernetes fsGroup): every file and directory in it, readable and, unless the volume
 * is read-only, writable. With `on-root-mismatch`, a volume whose root matches is skipped; so the root is changed last.
 * Does not descend into other mounts.
 */
export async function applyFsGroup(
  { fsGroup, options, mountPoint }: Storage,
  { base, place, media }: Pick<StorageContext, 'base' | 'place' | 'media'>,
): Promise<void> {
  if (fsGroup === undefined) return;
  await media.run('grantFsGroup', { place, fsGroup, options, mountPoint }, [base.fd]);
}

/**
 * Refuses fsGroup for files that existed before the create: if the create failed, the change would stay. Kata's
 * runtimes send it for disks (Kata 4.1: container.go, block_emptydir_volume.rs).
 */
export function refuseFsGroup(
  { fsGroup, driver, mountPoint }: Storage,
  { access }: Pick<StorageContext, 'access'>,
): void {
  if (fsGroup === undefined || access.privileged === 'allow') return;
  throw new GuestError(
    'refused',
    `fsGroup ${fsGroup.groupId} of the ${driver} storage at ${JSON.stringify(mountPoint)} is refused; help: provide the volume as a disk, or set privileged_containers = "allow"`,
  );
}
