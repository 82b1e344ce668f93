import { GuestError } from '../guest-error.js';
import type { OciMount } from '../oci-spec.js';
import { cleanPath } from '../source/clean-path.js';

/** What decides which mounts a container may have. */
export interface MountRules {
  /** `allow`: as under Kata, what only a privileged container has passes too. */
  readonly privileged: 'refuse' | 'allow';
  /** The container has a cgroup namespace of its own, so that a cgroup mount shows nothing of others. */
  readonly cgroupNamespace: boolean;
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** mount(8)'s words that any file system may have. */
const common = words(`
  async atime defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec noiversion
  nolazytime nomand norelatime nostrictatime nosuid nosymfollow relatime ro rw silent strictatime suid symfollow sync
  private rprivate slave rslave`);

const recursive = words(`
  rro rrw rnosuid rsuid rnodev rdev rnoexec rexec rnodiratime rdiratime rrelatime rnorelatime rnoatime ratime
  rstrictatime rnostrictatime rnosymfollow rsymfollow`);

/** The options of each file system that a container's mount may have (S10): words, and names of `name=value`. */
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
 * What gives a mount of a privileged container away. No `remount` and no `tmpcopyup`, with which the runtime works on names
 * in a root that the host may change: no runtime of Kata's sends them.
 */
const ofPrivileged: ReadonlySet<string> = new Set(words('shared rshared unbindable runbindable'));

/** Options that runtimes send and that mean something to Kata alone: the kernel would refuse them. */
function isForKata(option: string): boolean {
  return option.startsWith('X-kata.') || option.startsWith('fsgid=');
}

/**
 * The mounts of a spec for the runtime: checked against the lists, with clean destinations, without the options meant for
 * Kata.
 */
export function containerMounts(
  requested: readonly OciMount[] | undefined,
  rules: MountRules,
): readonly OciMount[] {
  const mounts = requested ?? [];
  if (rules.privileged === 'refuse') refuseSecond(mounts);
  return mounts.map((mount) => {
    const named = `mount at ${JSON.stringify(mount.destination)}`;
    const names = cleanPath(mount.destination, 'destination of a mount');
    const destination = `/${names.join('/')}`;
    if (names.length === 0)
      throw new GuestError('refused', `${named}: it would replace the root of the container`);
    if (isBind(mount) && mount.type !== 'bind') {
      // For runc the option alone makes it one, whatever the type says that a rule has looked at.
      throw new GuestError(
        'refused',
        `${named}: it is a bind mount by its options, so its type must be "bind", not ${JSON.stringify(mount.type)}`,
      );
    }
    const options = (mount.options ?? []).filter((option) => !isForKata(option));
    checkOptions(named, mount.type ?? '', options, rules);
    if (rules.privileged === 'refuse') checkKernelPlaces(named, { ...mount, destination, options }, rules);
    return { ...mount, destination, options };
  });
}

/** Each further one would be mounted where the runtime has looked already. */
function refuseSecond(mounts: readonly OciMount[]): void {
  for (const type of kernelPlaces.keys())
    if (mounts.filter((mount) => mount.type === type).length > 1)
      throw new GuestError('refused', `there are several mounts of type ${type}: a container has one`);
}

function checkOptions(
  named: string,
  type: string,
  options: readonly string[],
  { privileged }: MountRules,
): void {
  const fileSystem = fileSystems.get(type);
  if (fileSystem === undefined)
    throw new GuestError('refused', `${named}: file system ${JSON.stringify(type)} is not for containers`);
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

/** Where the runtimes mount the kernel's own file systems. */
const kernelPlaces: ReadonlyMap<string, string> = new Map([
  ['proc', '/proc'],
  ['sysfs', '/sys'],
]);

/**
 * The kernel's interfaces have one place each, and stay as they are: proc at /proc, sysfs read-only at /sys, cgroups below
 * /sys/fs/cgroup, read-only unless the container has a cgroup namespace. Nothing else is mounted at or in /proc and /sys.
 */
function checkKernelPlaces(named: string, mount: OciMount, { cgroupNamespace }: MountRules): void {
  const { destination, type = '', options = [] } = mount;
  const refused = (why: string): GuestError =>
    new GuestError('refused', `${named}: ${why} (privileged_containers = "allow" permits it)`);
  const place = kernelPlaces.get(type);
  const isCgroup = type === 'cgroup' || type === 'cgroup2';
  if (place !== undefined && destination !== place) throw refused(`${type} is mounted at ${place} only`);
  if (isCgroup && !within('/sys/fs/cgroup', destination))
    throw refused(`${type} is mounted at /sys/fs/cgroup only`);
  if (place === undefined && !isCgroup && (within('/proc', destination) || within('/sys', destination)))
    throw refused('nothing is mounted over /proc and /sys');
  // By a link of the root too: devices of a directory would be the host's.
  if (destination === '/dev' && type !== 'tmpfs') throw refused('/dev is a tmpfs');
  const isReadOnly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
  if (type === 'sysfs' && !isReadOnly) throw refused('sysfs must be read-only');
  if (isCgroup && !isReadOnly && !cgroupNamespace)
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
