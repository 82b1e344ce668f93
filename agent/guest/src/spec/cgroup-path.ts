import { posix } from 'node:path';
import { GuestError } from '../error/guest-error.js';
import { checkSystemdScope, parseSystemdScope, scopePath, type SystemdScope } from './systemd-scope.js';

/** The cgroup of a container. */
export interface ContainerCgroup {
  /** Its path below each hierarchy's mount point. */
  readonly path: string;
  /** `cgroupsPath` for the runtime. */
  readonly cgroupsPath: string;
  /** systemd creates it, as a scope, at the runtime's request (`--systemd-cgroup`). */
  readonly isScope: boolean;
}

/** What the choice depends on, besides the request. */
interface CgroupContext {
  readonly containerId: string;
  /** systemd creates the cgroups of paths in its form. */
  readonly systemd: boolean;
}

/** Refuses a path that is the root of cgroups, or leaves it, and a scope that systemd cannot have. */
export function checkCgroupPath(requested: string | undefined, context: CgroupContext): void {
  if (requested === undefined || requested === '') return;
  const scope = scopeOf(requested, context);
  if (scope !== undefined) return checkSystemdScope(scope);
  if (!requested.split(/[/:]/).includes('..') && belowRoot(requested) !== '') return;
  throw new GuestError(
    'invalid',
    `cgroupsPath ${JSON.stringify(requested)} does not name a cgroup below the root`,
  );
}

/**
 * Returns the container's cgroup. Kata's runtimes send the host's form: `/a/b` or systemd's `slice:prefix:name`, in
 * which `:` becomes `/` in a guest without systemd (as in Kata's agent). If the request has none, as from agent-ctl, the
 * agent chooses one.
 */
export function containerCgroup(requested: string | undefined, context: CgroupContext): ContainerCgroup {
  const scope = scopeOf(requested ?? '', context);
  if (scope !== undefined) {
    const { slice, prefix, name } = scope;
    return { path: scopePath(scope), cgroupsPath: `${slice}:${prefix}:${name}`, isScope: true };
  }
  const path =
    requested === undefined || requested === '' ? `/kata-agent/${context.containerId}` : belowRoot(requested);
  return { path, cgroupsPath: path, isScope: false };
}

function scopeOf(requested: string, { containerId, systemd }: CgroupContext): SystemdScope | undefined {
  return systemd ? parseSystemdScope(requested, containerId) : undefined;
}

function belowRoot(requested: string): string {
  return posix.normalize(`/${requested.replaceAll(':', '/')}`).replace(/\/+$/, '');
}
