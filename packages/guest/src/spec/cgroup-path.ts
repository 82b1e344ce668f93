import { posix } from 'node:path';
import { GuestError } from '../guest-error.js';

/**
 * The cgroup of a container for runc's cgroupfs driver. Kata's runtimes send the host's form: `/a/b` or systemd's
 * `slice:prefix:name`, in which `:` becomes `/` where no systemd manages cgroups (as in Kata's agent). Without one, as
 * from agent-ctl, it is ours to choose.
 */
export function cgroupPath(requested: string | undefined, containerId: string): string {
  if (requested === undefined || requested === '') return `/kata-agent/${containerId}`;
  const path = posix.normalize(`/${requested.replaceAll(':', '/')}`).replace(/\/+$/, '');
  if (requested.split(/[/:]/).includes('..') || path === '') {
    throw new GuestError(
      'invalid',
      `cgroupsPath ${JSON.stringify(requested)} does not name a cgroup below the root`,
    );
  }
  return path;
}
