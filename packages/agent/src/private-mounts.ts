import { type MountPoint, MountFlag, mounts, type Syscalls } from '@kata-agent/linux';
import { CannotApply } from './cannot-apply.js';

/**
 * Makes all mounts of this mount namespace private, so that no mount of a request or of a container reaches another one, or
 * the guest (S30). In a guest with systemd, which shares its mounts, that changes them for all its services; a mount namespace
 * of the agent's own would not outlive it, and its successor could not go on with the containers
 * (docs/adr/0012-what-outlives-the-agent.md).
 *
 * @returns whether any was shared, or received events from another namespace.
 * @throws CannotApply when that cannot be changed.
 */
export function makeMountsPrivate(syscalls: Syscalls, table: () => readonly MountPoint[] = mounts): boolean {
  if (propagating(table()).length === 0) return false;
  syscalls.mount('', '/', '', MountFlag.Recursive | MountFlag.Private, '');
  const [left] = propagating(table());
  if (left === undefined) return true;
  throw new CannotApply(
    `the mount at ${left.target} stays shared with others (${left.propagation.join(', ')})`,
    {
      help: 'start the agent in a mount namespace of its own: unshare --mount --propagation private',
    },
  );
}

function propagating(table: readonly MountPoint[]): readonly MountPoint[] {
  return table.filter(({ propagation }) => propagation.length > 0);
}
