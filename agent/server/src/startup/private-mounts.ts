import { type MountPoint, MountFlag, mounts, type Syscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';

/**
 * Makes all mounts of this mount namespace private, so that a mount of a request or container propagates neither to
 * another one nor to the guest (S30). In a guest with systemd, which shares its mounts, that affects all its services;
 * but a mount namespace of the agent would end with it, and the next agent could not manage the containers
 * (docs/adr/restarts.md, "What survives a restart").
 *
 * @returns whether any was shared, or received events from another namespace.
 * @throws CannotApply if that cannot be changed.
 */
export function makeMountsPrivate(syscalls: Syscalls, table: () => readonly MountPoint[] = mounts): boolean {
  if (propagating(table()).length === 0) return false;
  syscalls.mount('', '/', '', MountFlag.Recursive | MountFlag.Private, '');
  const [left] = propagating(table());
  if (left === undefined) return true;
  throw new CannotApply(`the mount at ${left.target} is still shared (${left.propagation.join(', ')})`, {
    help: 'start the agent in its own mount namespace: unshare --mount --propagation private',
  });
}

function propagating(table: readonly MountPoint[]): readonly MountPoint[] {
  return table.filter(({ propagation }) => propagation.length > 0);
}
