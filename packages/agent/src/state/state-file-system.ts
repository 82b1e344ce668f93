import { readdirSync } from 'node:fs';
import type { Configuration } from '@kata-agent/config';
import { mount, type MountPoint, mounts, type Syscalls } from '@kata-agent/linux';
import { lockName } from './state-directory.js';

/** Records of the sandbox, bundles, sockets and kept output, beside the audit log. */
const ownBytes = 64 * 1024 * 1024;

/** The records of a create or exec: an intent and its outcome, without facts. */
const makingBytes = 10 * 1024;

/**
 * The largest size of an audit log, in bytes. Beside its segments it has the records of all that is there, twice while they
 * are written anew.
 */
export function largestAuditLog(
  { maxSize, keep }: Pick<Configuration['audit'], 'maxSize' | 'keep'>,
  { containers, execsPerContainer }: Pick<Configuration['limits'], 'containers' | 'execsPerContainer'>,
): number {
  return maxSize * (keep + 2) + 2 * makingBytes * containers * (1 + execsPerContainer);
}

/**
 * Gives the state directory a file system of its own, so that what a container fills (`/run`, above all) takes no space from
 * the agent's state and audit log (S36). One that is there, of an earlier agent, stays, and so does a directory that is not
 * empty.
 *
 * @param auditBytes the largest size of the audit log, if it lies in the state directory; else 0.
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
  // The state of an agent that was killed before it had one of its own would be hidden by it.
  if (names.some((name) => name !== lockName)) return false;
  const options = ['nosuid', 'nodev', 'noexec', 'mode=700', `size=${ownBytes + auditBytes}`, 'private'];
  mount(syscalls, { source: 'kata-agent', target: path, type: 'tmpfs', options });
  return true;
}
