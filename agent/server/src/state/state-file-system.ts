import { readdirSync } from 'node:fs';
import type { Configuration } from '@kata-agent/config';
import { mount, type MountPoint, mounts, type Syscalls } from '@kata-agent/linux';
import { lockName } from './state-directory.js';

/** Size of sandbox state, bundles, sockets and stored output, besides the audit log. */
const ownBytes = 64 * 1024 * 1024;

/** The records of a create or exec: an intent and its outcome, without facts. */
const makingBytes = 10 * 1024;

/**
 * The maximum size of an audit log, in bytes. Besides its segments it has the records of all containers and execs,
 * twice while they are rewritten.
 */
export function largestAuditLog(
  { maxSize, keep }: Pick<Configuration['audit'], 'maxSize' | 'keep'>,
  { containers, execsPerContainer }: Pick<Configuration['limits'], 'containers' | 'execsPerContainer'>,
): number {
  return maxSize * (keep + 2) + 2 * makingBytes * containers * (1 + execsPerContainer);
}

/**
 * Mounts a file system for the state directory, so that a container that fills `/run` takes no space from the agent's
 * state and audit log (S36). The file system of an earlier agent is kept, and so is a directory that is not empty.
 *
 * @param auditBytes the maximum size of the audit log, if it is in the state directory; else 0.
 * @returns whether it was mounted.
 */
export function mountStateFileSystem(
  path: string,
  auditBytes: number,
  syscalls: Syscalls,
  table: readonly MountPoint[] = mounts(),
  names: readonly string[] = readdirSync(path),
): boolean {
  if (table.some(({ target }) => target === path)) return false;
  // A mount would hide the state of an agent that was killed before it had mounted one.
  if (names.some((name) => name !== lockName)) return false;
  const options = ['nosuid', 'nodev', 'noexec', 'mode=700', `size=${ownBytes + auditBytes}`, 'private'];
  mount(syscalls, { source: 'kata-agent', target: path, type: 'tmpfs', options });
  return true;
}
