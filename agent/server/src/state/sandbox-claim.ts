import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import type { SandboxClaim } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import { lockOwner } from './lock-owner.js';

/**
 * Locks Kata's directory until the process ends. Agents with different state directories still share it, since its
 * paths are part of the wire contract: the first agent that changes anything locks it, and the others serve only calls
 * that change nothing.
 */
export function sandboxClaim(syscalls: Syscalls): SandboxClaim {
  let held = false;
  return {
    get held() {
      return held;
    },
    take(directory) {
      if (held) return undefined;
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        held = syscalls.tryLock(fd);
        if (held) return undefined;
        return (
          `another agent on this machine has its sandbox in ${directory}: ${lockOwner(fd).text}; ` +
          'stop it first, or start this agent in a mount namespace with its own directory there'
        );
      } finally {
        if (!held) closeSync(fd);
      }
    },
  };
}
