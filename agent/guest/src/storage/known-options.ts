/**
 * Allowed mount(8) options of a storage, with those of overlayfs. None of them changes an existing mount, or its
 * propagation. Neither `bind` nor `rbind` is among them: with one of these the kernel takes the source of any storage
 * as a path of the guest, also the tag of a share (S29).
 */
const words: ReadonlySet<string> = new Set(
  [
    'async atime defaults dev diratime dirsync exec iversion lazytime loud mand',
    'noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow',
    'private rprivate slave rslave relatime ro rw silent strictatime suid symfollow sync',
    'userxattr volatile xattr noxattr index=off metacopy=off',
  ].flatMap((line) => line.split(' ')),
);

/** Only a bind of a source that the agent has opened has these, beside `words`. */
export const bindOptions: ReadonlySet<string> = new Set(['bind', 'rbind']);

/** `name=value` options of the file systems that storages have. */
const names: ReadonlySet<string> = new Set([
  'mode',
  'size',
  'uid',
  'gid',
  'nr_inodes',
  'nr_blocks',
  'huge',
  'mpol',
  'pagesize',
  'min_size',
  'lowerdir',
  'upperdir',
  'workdir',
]);

/** Returns the first option that is on none of the lists; undefined: all are known. */
export function unknownMountOption(options: readonly string[]): string | undefined {
  return options.find((option) => {
    const [name = '', value] = option.split('=', 2);
    return !words.has(option) && !(value !== undefined && names.has(name));
  });
}
