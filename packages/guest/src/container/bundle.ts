import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';
import { type RemovalContext, removeTree } from '../storage/remove-tree.js';
import type { UndoStack } from './undo-stack.js';

/** Below the state directory. */
export const bundles = 'bundles';

/**
 * The directory of a container that the OCI runtime reads: `config.json`, `rootfs`, and `mounts` for copies of what the
 * request names. It lies in the agent's own state, where no request can mount or write.
 */
export function bundleOf(id: string, { state }: Pick<GuestPaths, 'state'>): string {
  return join(state, bundles, id);
}

export function makeBundle(bundle: string, made: UndoStack, context: RemovalContext): void {
  try {
    mkdirSync(bundle, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new GuestError('exists', `${bundle} is already there, left by a container of that id`, {
      cause: error,
    });
  }
  made.push(`bundle ${bundle}`, () => removeTree(bundle, context));
}
