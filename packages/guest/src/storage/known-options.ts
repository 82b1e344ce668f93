/** mount(8)'s words that a storage may have, and those of overlayfs. None changes a mount that is there, or shares one. */
const words: ReadonlySet<string> = new Set(
  [
    'async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand',
    'noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow',
    'private rprivate slave rslave rbind relatime ro rw silent strictatime suid symfollow sync',
    'userxattr volatile xattr noxattr index=off metacopy=off',
  ].flatMap((line) => line.split(' ')),
);

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

/** An option that is on none of the lists; undefined: all are known. */
export function unknownMountOption(options: readonly string[]): string | undefined {
  return options.find((option) => {
    const [name = '', value] = option.split('=', 2);
    return !words.has(option) && !(value !== undefined && names.has(name));
  });
}
