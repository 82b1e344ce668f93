import { GuestError } from '../guest-error.js';
import type { OciMount } from '../oci-spec.js';

/**
 * File systems that a container's mount may have (S10). No `overlay`: no runtime of Kata's sends one here, and its layers
 * would be directories of the guest that nobody has looked at. As a storage it is checked.
 */
const types: ReadonlySet<string> = new Set([
  'bind',
  'proc',
  'sysfs',
  'tmpfs',
  'devpts',
  'mqueue',
  'cgroup',
  'cgroup2',
  'hugetlbfs',
]);

/** mount(8)'s words that runc turns into flags. */
const words: ReadonlySet<string> = new Set(
  [
    'async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand',
    'noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow',
    'rbind relatime remount ro rw silent strictatime suid symfollow sync tmpcopyup',
    'private rprivate shared rshared slave rslave unbindable runbindable',
    'rro rrw rnosuid rsuid rnodev rdev rnoexec rexec rnodiratime rdiratime rrelatime rnorelatime',
    'rnoatime ratime rstrictatime rnostrictatime rnosymfollow rsymfollow',
    'newinstance userxattr volatile xattr noxattr index=off metacopy=on metacopy=off',
  ].flatMap((line) => line.split(' ')),
);

/** `name=value` options of the file systems above. */
const names: ReadonlySet<string> = new Set([
  'mode',
  'size',
  'uid',
  'gid',
  'nr_inodes',
  'nr_blocks',
  'huge',
  'mpol',
  'ptmxmode',
  'max',
  'pagesize',
  'min_size',
  'lowerdir',
  'upperdir',
  'workdir',
]);

/** Options that runtimes send and that mean something to Kata alone: the kernel would refuse them. */
function isForKata(option: string): boolean {
  return option.startsWith('X-kata.') || option.startsWith('fsgid=');
}

/** An option that is on none of the lists; undefined: all are known. */
export function unknownMountOption(options: readonly string[]): string | undefined {
  return options.find((option) => {
    const [name = '', value] = option.split('=', 2);
    return !isForKata(option) && !words.has(option) && !(value !== undefined && names.has(name));
  });
}

/** The mounts of a spec for runc: checked against the lists, without the options meant for Kata. */
export function containerMounts(requested: readonly OciMount[] | undefined): readonly OciMount[] {
  return (requested ?? []).map((mount) => {
    const named = `mount at ${JSON.stringify(mount.destination)}`;
    if (!mount.destination.startsWith('/') || mount.destination.split('/').includes('..')) {
      throw new GuestError('invalid', `${named}: the destination must be absolute, without ..`);
    }
    if (isBind(mount) && mount.type !== 'bind') {
      // For runc the option alone makes it one, whatever the type says that a rule has looked at.
      throw new GuestError(
        'refused',
        `${named}: it is a bind mount by its options, so its type must be "bind", not ${JSON.stringify(mount.type)}`,
      );
    }
    if (!types.has(mount.type ?? '')) {
      throw new GuestError(
        'refused',
        `${named}: file system ${JSON.stringify(mount.type)} is not for containers`,
      );
    }
    const unknown = unknownMountOption(mount.options ?? []);
    if (unknown !== undefined) {
      throw new GuestError('refused', `${named}: option ${JSON.stringify(unknown)} is not known`);
    }
    return { ...mount, options: (mount.options ?? []).filter((option) => !isForKata(option)) };
  });
}

export function isBind(mount: OciMount): boolean {
  return (
    mount.type === 'bind' || (mount.options ?? []).some((option) => option === 'bind' || option === 'rbind')
  );
}
