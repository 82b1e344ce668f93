import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unmountTree, type Syscalls } from '@kata-agent/linux';
import type { GuestLog, GuestPaths } from './guest-options.js';
import type { Runtime } from './runtime/runtime.js';
import { removeTree } from './storage/remove-tree.js';

/**
 * Clears what an agent that was killed has left (S20): the containers of our runtime's state, their mounts and their
 * bundles. Nobody could ask for them any more: who made them and what their exit codes are went with the agent.
 */
export async function recover(
  runtime: Runtime,
  paths: GuestPaths,
  syscalls: Syscalls,
  log: GuestLog,
): Promise<void> {
  for (const id of readdirSync(runtime.root)) {
    log('warn', `container ${id} was left by an earlier agent and is removed`, { container: id });
    try {
      await runtime.delete(id);
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
  rmSync(join(paths.state, 'output'), { recursive: true, force: true });
}
