import { GuestError } from '../guest-error.js';

/**
 * Allowed mount(8) options of a storage, with those of overlayfs. None of them changes an existing mount, or its
 * propagation. Neither `bind` nor `rbind` is among them: with one of these the kernel takes the source of any storage
 * as a path of the guest, also the tag of a share (S29).
 */
const mountWords: ReadonlySet<string> = new Set(
  [
    'async atime defaults dev diratime dirsync exec iversion lazytime loud mand',
    'noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow',
    'private rprivate slave rslave relatime ro rw silent strictatime suid symfollow sync',
    'userxattr volatile xattr noxattr index=off metacopy=off',
  ].flatMap((line) => line.split(' ')),
);

/** Only a bind of a source that the agent has opened has these, beside `mountWords`. */
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

/** The mount options of one file system, in addition to those of mount(8) for every file system. */
interface OptionsOf {
  /** Options without a value, and options with one fixed value. */
  readonly words: readonly string[];
  /** Options whose value is a decimal number, in some cases with the unit k, m or g. */
  readonly numbers: readonly string[];
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

const ext: OptionsOf = {
  words: words(`
    acl noacl user_xattr nouser_xattr barrier barrier=0 barrier=1 nobarrier data=journal data=ordered data=writeback
    delalloc nodelalloc discard nodiscard dax dax=always dax=inode dax=never errors=continue errors=panic
    errors=remount-ro grpid nogrpid grpquota usrquota prjquota quota noquota init_itable noinit_itable
    journal_checksum nojournal_checksum journal_async_commit noload norecovery auto_da_alloc noauto_da_alloc
    dioread_lock dioread_nolock block_validity noblock_validity minixdf bsddf`),
  numbers: words(
    'commit stripe max_batch_time min_batch_time journal_ioprio inode_readahead_blks init_itable resuid resgid',
  ),
};

/**
 * The file systems that a disk may have, with their options: those that Kubernetes storage classes and CSI drivers set
 * (Linux, Documentation/admin-guide/{ext4,xfs}.rst and filesystems/{erofs,squashfs,btrfs}.rst). The host controls the
 * disk's content, so few kernel drivers are exposed to it. No option has a path or a device as its value.
 */
const fileSystems: ReadonlyMap<string, OptionsOf> = new Map(
  Object.entries({
    ext3: ext,
    ext4: ext,
    xfs: {
      words: words(`
      nouuid attr2 noattr2 bsdgroups nogrpid grpid sysvgroups discard nodiscard dax dax=always dax=inode dax=never
      filestreams ikeep noikeep inode32 inode64 largeio nolargeio noalign norecovery swalloc wsync uquota usrquota
      uqnoenforce quota gquota grpquota gqnoenforce pquota prjquota pqnoenforce noquota`),
      numbers: words('allocsize logbsize logbufs sunit swidth'),
    },
    erofs: {
      words: words(`
      user_xattr nouser_xattr acl noacl cache_strategy=disabled cache_strategy=readahead
      cache_strategy=readaround dax dax=always dax=never`),
      numbers: [],
    },
    btrfs: {
      words: words(`
      acl noacl autodefrag noautodefrag barrier nobarrier compress compress=lzo compress=zlib compress=zstd
      compress=no datacow nodatacow datasum nodatasum discard discard=async discard=sync nodiscard flushoncommit
      noflushoncommit ssd nossd space_cache space_cache=v1 space_cache=v2 nospace_cache treelog notreelog
      user_subvol_rm_allowed`),
      numbers: words('commit max_inline thread_pool'),
    },
    squashfs: {
      words: words('errors=continue errors=panic threads=multi threads=percpu threads=single'),
      numbers: [],
    },
  }),
);

/** The names of the file systems, as in `fstype`. */
export const diskFileSystems: readonly string[] = [...fileSystems.keys()];

/** Options of fstab(5) and of the programs that read it, which the kernel does not have. Kata's agent ignores them too. */
export const fstabOptions: ReadonlySet<string> = new Set(
  words('_netdev auto noauto group nogroup nofail owner noowner user nouser users nousers'),
);

/** Reports whether a file system of a disk has this option. */
export function isDiskOption(fstype: string, option: string): boolean {
  const known = fileSystems.get(fstype);
  if (known === undefined) return false;
  if (known.words.includes(option)) return true;
  const [, name = ''] = /^([a-z_]+)=\d{1,18}[kmgKMG]?$/.exec(option) ?? [];
  return known.numbers.includes(name);
}

/** Returns the options of a file system, for documents: words, and names of numbers as `name=N`. */
export function documentedDiskOptions(fstype: string): readonly string[] {
  const { words: fixed = [], numbers = [] } = fileSystems.get(fstype) ?? {};
  return [...fixed, ...numbers.map((name) => `${name}=N`)].toSorted();
}

/** Returns the value of `name=value` from a storage's options, each of which may be a comma-separated list. */
export function option(options: readonly string[], name: string): string | undefined {
  return options
    .flatMap((words) => words.split(','))
    .find((word) => word.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** Parses `fsgid=`: the group that a pod's processes share. */
export function groupOption(options: readonly string[]): number | undefined {
  const text = option(options, 'fsgid');
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1) return Number(text);
  throw new GuestError('invalid', `fsgid=${text} of a storage is not a group id`);
}

/** Returns the first option that is on none of the lists; undefined: all are known. */
export function unknownMountOption(options: readonly string[]): string | undefined {
  return options.find((option) => {
    const [name = '', value] = option.split('=', 2);
    return !mountWords.has(option) && !(value !== undefined && names.has(name));
  });
}
