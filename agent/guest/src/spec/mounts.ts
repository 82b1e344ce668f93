import { posix } from 'node:path';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import type { OciLinux, OciMount } from '../request/oci-spec.js';
import { cleanPath } from '../paths/clean-path.js';

/** The configuration and spec that mounts are checked against. */
export interface MountRules {
  /** `allow`: mounts that only a privileged container has pass too, as under Kata. */
  readonly privileged: 'refuse' | 'allow';
  /** The container has its own cgroup namespace, so that a cgroup mount exposes no other cgroups. */
  readonly cgroupNamespace: boolean;
  /** The copy of the guest's sysfs that a container with a user namespace has at /sys. */
  readonly sysfs?: string | undefined;
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** mount(8) options for every file system. */
const common = words(`
  async atime defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec noiversion
  nolazytime nomand norelatime nostrictatime nosuid nosymfollow relatime ro rw silent strictatime suid symfollow sync
  private rprivate slave rslave`);

const recursive = words(`
  rro rrw rnosuid rsuid rnodev rdev rnoexec rexec rnodiratime rdiratime rrelatime rnorelatime rnoatime ratime
  rstrictatime rnostrictatime rnosymfollow rsymfollow`);

/**
 * Engines copy the options of the host's cgroup2 mount. The guest's own mount is unchanged: without a cgroup namespace
 * the kernel would change it for all (Linux, Documentation/admin-guide/cgroup-v2.rst, "Mounting").
 */
const ofHostsCgroups: ReadonlySet<string> = new Set(
  words('nsdelegate favordynmods memory_localevents memory_recursiveprot memory_hugetlb_accounting'),
);

/** The allowed options of each file system that a container may mount (S10): words, and names of `name=value`. */
const fileSystems: ReadonlyMap<
  string,
  { readonly words: readonly string[]; readonly names: readonly string[] }
> = new Map(
  Object.entries({
    bind: { words: [...common, ...recursive, 'bind', 'rbind'], names: [] },
    proc: { words: common, names: [] },
    sysfs: { words: common, names: [] },
    tmpfs: { words: common, names: words('mode size uid gid nr_inodes nr_blocks huge mpol') },
    devpts: { words: [...common, 'newinstance'], names: words('mode gid uid ptmxmode max') },
    mqueue: { words: common, names: [] },
    cgroup: { words: common, names: [] },
    cgroup2: { words: common, names: [] },
    hugetlbfs: { words: common, names: words('mode size uid gid pagesize min_size') },
  }),
);

/**
 * Options that only a privileged container has. No `remount` and no `tmpcopyup`, with which the runtime resolves paths
 * in a root that the host may change: no runtime of Kata's sends them.
 */
const ofPrivileged: ReadonlySet<string> = new Set(words('shared rshared unbindable runbindable'));

/** The file systems of a container's mounts, each with its options; `name=` for those with a value. For documents. */
export const containerMountOptions: ReadonlyMap<string, readonly string[]> = new Map(
  [...fileSystems].map(([type, options]) => [
    type,
    [
      ...options.words.filter((word) => !common.includes(word)),
      ...options.names.map((name) => `${name}=`),
    ].toSorted(),
  ]),
);

/** Options of every file system, for documents. */
export const commonMountOptions: readonly string[] = common;

/** Options that runtimes send and that are not for the guest's kernel. */
function isForOthers(option: string, type: string): boolean {
  if (isCgroup(type) && ofHostsCgroups.has(option)) return true;
  return option.startsWith('fsgid=');
}

function isCgroup(type: string): boolean {
  return type === 'cgroup' || type === 'cgroup2';
}

/** Returns what this container's mounts are checked against. */
export function mountRules(
  linux: Pick<OciLinux, 'namespaces'> | undefined,
  { privileged }: Pick<GuestAccess, 'privileged'>,
  cgroupVersion: 1 | 2,
  sysfs?: string,
): MountRules {
  const namespaces = linux?.namespaces ?? [];
  return {
    privileged,
    cgroupNamespace: cgroupVersion === 2 || namespaces.some(({ type }) => type === 'cgroup'),
    sysfs,
  };
}

/**
 * Refuses a second mount of a kernel file system: it would be mounted over one that the runtime has checked already.
 */
export function refuseSecond(mounts: readonly OciMount[]): void {
  for (const type of kernelPlaces.keys())
    if (mounts.filter((mount) => mount.type === type).length > 1)
      throw new GuestError('refused', `there are several mounts of type ${type}; help: request one`);
}

/** Checks one mount against the lists: destination, file system and options. */
export function checkMount(mount: OciMount, rules: MountRules): void {
  const named = `mount at ${JSON.stringify(mount.destination)}`;
  const { destination, options } = cleanMount(mount);
  if (destination === '/')
    throw new GuestError('refused', `${named}: it would replace the root of the container`);
  if (isBind(mount) && mount.type !== 'bind') {
    // runc takes a mount with this option as a bind mount, whatever the type that a rule has checked.
    throw new GuestError(
      'refused',
      `${named}: it is a bind mount by its options, so its type must be "bind", not ${JSON.stringify(mount.type)}`,
    );
  }
  checkOptions(named, mount.type ?? '', options, rules);
  if (rules.privileged === 'refuse') checkKernelPlaces(named, { ...mount, destination, options }, rules);
}

/**
 * Returns a mount for the runtime: with a clean destination, without the options meant for Kata.
 *
 * @throws GuestError `invalid` for a destination that is relative or has `..`.
 */
export function cleanMount(mount: OciMount): OciMount & { readonly options: readonly string[] } {
  const { type = '' } = mount;
  const destination = `/${cleanPath(mount.destination, 'destination of a mount').join('/')}`;
  return {
    ...mount,
    destination,
    options: (mount.options ?? []).filter((option) => !isForOthers(option, type)),
  };
}

function checkOptions(
  named: string,
  type: string,
  options: readonly string[],
  { privileged }: MountRules,
): void {
  const fileSystem = fileSystems.get(type);
  if (fileSystem === undefined)
    throw new GuestError(
      'refused',
      `${named}: file system ${JSON.stringify(type)} is not allowed in containers`,
    );
  for (const option of options) {
    const [name = '', value] = option.split('=', 2);
    if (value === undefined ? fileSystem.words.includes(option) : fileSystem.names.includes(name)) continue;
    if (!ofPrivileged.has(option))
      throw new GuestError('refused', `${named}: option ${JSON.stringify(option)} is not known for ${type}`);
    if (privileged === 'refuse')
      throw new GuestError(
        'refused',
        `${named}: option ${JSON.stringify(option)} is for privileged containers (privileged_containers = "allow")`,
      );
  }
}

/** Destinations at which the runtimes mount kernel file systems. */
const kernelPlaces: ReadonlyMap<string, string> = new Map([
  ['proc', '/proc'],
  ['sysfs', '/sys'],
]);

/**
 * Kernel file systems have one destination each: proc at /proc, sysfs read-only at /sys, cgroups below /sys/fs/cgroup,
 * read-only unless the container has a cgroup namespace. Nothing else is mounted at or in /proc and /sys.
 */
function checkKernelPlaces(named: string, mount: OciMount, { cgroupNamespace, sysfs }: MountRules): void {
  const { destination, options = [], source } = mount;
  const type = source !== undefined && source === sysfs ? 'sysfs' : (mount.type ?? '');
  const refused = (reason: string): GuestError =>
    new GuestError('refused', `${named}: ${reason}; help: set privileged_containers = "allow"`);
  const place = kernelPlaces.get(type);
  if (place !== undefined && destination !== place) throw refused(`${type} may be mounted at ${place} only`);
  if (isCgroup(type) && !within('/sys/fs/cgroup', destination))
    throw refused(`${type} may be mounted at /sys/fs/cgroup only`);
  if (place === undefined && !isCgroup(type) && (within('/proc', destination) || within('/sys', destination)))
    throw refused('mounts over /proc and /sys are refused');
  // Also through a link of the root: the device nodes of a directory would be the host's.
  if (destination === '/dev' && type !== 'tmpfs') throw refused('only a tmpfs may be mounted at /dev');
  const isReadOnly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
  if (type === 'sysfs' && !isReadOnly) throw refused('sysfs must be read-only');
  if (isCgroup(type) && !isReadOnly && !cgroupNamespace)
    throw refused(`${type} must be read-only without a cgroup namespace`);
}

function within(place: string, path: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}

export function isBind(mount: OciMount): boolean {
  return (
    mount.type === 'bind' || (mount.options ?? []).some((option) => option === 'bind' || option === 'rbind')
  );
}

/**
 * Checks `maskedPaths` or `readonlyPaths`: runc resolves `..` in such a path, so that it could name another directory
 * than it seems.
 */
export function checkHiddenPaths(
  name: 'maskedPaths' | 'readonlyPaths',
  paths: readonly string[] | undefined,
): void {
  const strange = paths?.find((path) => !path.startsWith('/') || posix.normalize(path) !== path);
  if (strange !== undefined)
    throw new GuestError('invalid', `linux.${name}: ${JSON.stringify(strange)} is not a clean absolute path`);
}
