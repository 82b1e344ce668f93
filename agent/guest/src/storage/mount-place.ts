import { GuestError } from '../guest-error.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import { quotedPath } from '../quoted.js';
import { storageDrivers } from './drivers/storage-drivers.js';

/** The owner of a mount point. */
export interface MountPlaceOwner {
  /** The container that is being created; undefined: the sandbox. */
  readonly container: string | undefined;
  /**
   * The container under whose id the runtimes put a pod's local volumes: the sandbox's first. Undefined: there is none.
   */
  readonly pod: string | undefined;
  /** Ids of the sandbox's other containers. */
  readonly others: readonly string[];
}

/**
 * Returns the mount point of a storage as a path below Kata's directory, or the reason for a refusal: mount points are
 * an allow-list of each driver (S31). Pure.
 *
 * @throws GuestError `refused`
 */
export function mountPlace(driver: string, mountPoint: string, owner: MountPlaceOwner, kata: string): string {
  const names = cleanPath(mountPoint, 'mount point of a storage');
  const path = `/${names.join('/')}`;
  const named = `mount point ${quotedPath(mountPoint)} of a storage`;
  if (path === kata || !contains(kata, path))
    throw new GuestError('refused', `${named} is not below ${kata}/`);
  const below = path.slice(kata.length + 1);
  const allowed = storageDrivers.find(({ name }) => name === driver)?.mountPoints ?? [];
  if (!allowed.some((pattern) => fits(pattern.split('/'), below.split('/'), owner)))
    throw new GuestError(
      'refused',
      `${named} is none where Kata's runtimes mount ${driver}: ${allowed.join(', ')}`,
    );
  return below;
}

/** Directories that the runtimes create next to the volumes in `shared/containers/passthrough`. */
const reserved: ReadonlySet<string> = new Set(['watchable', 'sandbox-mounts']);

function fits(
  pattern: readonly string[],
  names: readonly string[],
  { container, pod, others }: MountPlaceOwner,
): boolean {
  return (
    pattern.length === names.length &&
    pattern.every((step, index) => {
      const name = names[index] ?? '';
      if (step === '*') return !reserved.has(name) && !others.includes(name);
      if (step === 'CID') return container !== undefined && name === container;
      if (step === 'POD') return name === pod;
      return name === step;
    })
  );
}
