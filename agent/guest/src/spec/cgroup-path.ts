import { posix } from 'node:path';
import { GuestError } from '../guest-error.js';

/** The form in which Kata's agent asks systemd for a cgroup (rustjail/src/container.rs), with ASCII letters only. */
const form = /^([\w.-]*):([\w.-]*):([\w.-]*)$/;

/** UNIT_NAME_MAX of systemd, without the terminating NUL. */
const longestUnitName = 255;

/** Names before which systemd puts `_` in the file system: those of files of a cgroup (`cg_needs_escape`). */
const escaped =
  /^(?:[_.]|(?:blkio|cgroup|cpu|cpuacct|cpuset|devices|freezer|hugetlb|io|memory|misc|net_cls|net_prio|perf_event|pids|rdma)\.)/;

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

/** A scope of systemd, the unit that has a container's processes (systemd.scope(5)). */
interface SystemdScope {
  readonly slice: string;
  readonly prefix: string;
  readonly name: string;
}

/**
 * Parses `slice:prefix:name`. An empty slice is `system.slice`, and `::` the container's id below it, as in Kata's
 * agent. Undefined: the path has another form.
 */
export function parseSystemdScope(cgroupsPath: string, containerId: string): SystemdScope | undefined {
  const match = form.exec(cgroupsPath);
  if (match === null) return undefined;
  const [, slice = '', prefix = '', name = ''] = match;
  if (cgroupsPath === '::') return { slice: 'system.slice', prefix: 'kata_agent', name: containerId };
  return { slice: slice === '' ? 'system.slice' : slice, prefix, name };
}

/** Refuses a scope that systemd cannot have, or whose name is that of another kind of unit. */
export function checkSystemdScope(scope: SystemdScope): void {
  const refuse = (reason: string): never => {
    throw new GuestError(
      'invalid',
      `cgroupsPath ${JSON.stringify(`${scope.slice}:${scope.prefix}:${scope.name}`)}: ${reason}`,
    );
  };
  if (
    !scope.slice.endsWith('.slice') ||
    slicesOf(scope.slice).some((slice) => /^(?:|.*-)\.slice$/.test(slice))
  )
    refuse(`${JSON.stringify(scope.slice)} is not the name of a slice, as "a-b.slice"`);
  if (scope.name === '') refuse('the name of the scope is empty');
  if (scope.name.endsWith('.slice')) refuse('the name is that of a slice, which has no processes');
  for (const unit of [...slicesOf(scope.slice), scopeUnit(scope)])
    if (escaped.test(unit)) refuse(`systemd writes the cgroup of ${JSON.stringify(unit)} with another name`);
  for (const unit of [scope.slice, scopeUnit(scope)])
    if (unit.length > longestUnitName) refuse(`the unit name has more than ${longestUnitName} characters`);
}

/** The name of the unit, as runc and crun put it together. Kata's agent leaves out the `-` after an empty prefix. */
function scopeUnit({ prefix, name }: SystemdScope): string {
  return `${prefix}-${name}.scope`;
}

/** Returns the path of the scope's cgroup below the mount point: `a-b.slice` is in `a.slice`, `-.slice` is the root. */
export function scopePath(scope: SystemdScope): string {
  return `/${[...slicesOf(scope.slice), scopeUnit(scope)].join('/')}`;
}

/** Returns a slice and those that it is in, outermost first. */
function slicesOf(slice: string): readonly string[] {
  if (slice === '-.slice') return [];
  const parts = slice.slice(0, -'.slice'.length).split('-');
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`);
}
