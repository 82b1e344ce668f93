import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { type RemovalContext, removeTree } from '../removal/remove-tree.js';
import type { MappedRoot } from '../spec/namespaces.js';
import type { UndoStack } from '../undo-stack.js';

/** Name of the directory of bundles, below the state directory. */
export const bundles = 'bundles';

/**
 * Returns the path of a container's bundle for the OCI runtime, which has `config.json`, `rootfs`, and `mounts` for copies of the request's
 * sources. It is in the agent's state directory, where no request can mount or write.
 */
export function bundleOf(id: string, { state }: Pick<GuestPaths, 'state'>): string {
  return join(state, bundles, id);
}

/**
 * Creates a bundle, which only root can search. The OCI runtime enters the root of a container with a user namespace as
 * the user that is root there: the group of that user can search the bundle too, and no other user of the guest.
 */
export function makeBundle(
  bundle: string,
  root: MappedRoot | undefined,
  made: UndoStack,
  context: RemovalContext,
): void {
  try {
    mkdirSync(bundle, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new GuestError('exists', `${bundle} exists already, left by a container with this id`, {
      cause: error,
    });
  }
  made.push(`bundle ${bundle}`, () => removeTree(bundle, context));
  if (root === undefined) return;
  chownSync(bundle, 0, root.gid);
  chmodSync(bundle, 0o710);
}
