import { mount, type MountPoint, mounts, type Syscalls } from '@kata-agent/linux';

/** Records of the sandbox, bundles, sockets and kept output, beside the audit log. */
const ownBytes = 64 * 1024 * 1024;

/**
 * Gives the state directory a file system of its own, so that what a container fills (`/run`, above all) takes no space from
 * the agent's state and audit log (S36). One that is there, of an earlier agent, stays.
 *
 * @param auditBytes the largest size of the audit log, if it lies in the state directory; else 0.
 * @returns whether it was mounted.
 */
export function mountStateFileSystem(
  path: string,
  auditBytes: number,
  syscalls: Syscalls,
  table: readonly MountPoint[] = mounts(),
): boolean {
  if (table.some(({ target }) => target === path)) return false;
  const options = ['nosuid', 'nodev', 'noexec', 'mode=700', `size=${ownBytes + auditBytes}`, 'private'];
  mount(syscalls, { source: 'kata-agent', target: path, type: 'tmpfs', options });
  return true;
}
