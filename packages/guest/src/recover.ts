import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmountTree } from '@kata-agent/linux';
import type { GuestContext } from './container/guest-context.js';
import { remove } from './runtime/commands.js';
import { removeTree } from './storage/remove-tree.js';

/** What recovery works with: a part of the guest's context. */
export type Recovery = Pick<GuestContext, 'runtime' | 'ancestors' | 'paths' | 'syscalls' | 'log'>;

/**
 * Clears what an agent that was killed has left (S20): the containers of our runtime's state, their mounts and their
 * bundles. Nobody could ask for them any more: who made them and what their exit codes are went with the agent.
 */
export async function recover({ runtime, ancestors, paths, syscalls, log }: Recovery): Promise<void> {
  for (const id of readdirSync(runtime.root)) {
    log('warn', `container ${id} was left by an earlier agent and is removed`, { container: id });
    try {
      await remove(runtime, id);
      const bundle = join(paths.kata, id);
      if (existsSync(bundle)) {
        unmountTree(syscalls, bundle);
        removeTree(bundle);
      }
    } catch (error) {
      log('error', `container ${id} of an earlier agent cannot be removed: ${String(error)}`, {
        container: id,
      });
    }
  }
  ancestors.sweep();
  rmSync(join(paths.state, 'output'), { recursive: true, force: true });
}
