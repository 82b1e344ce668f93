/** MS_* bits of mount(2), from the kernel's `include/uapi/linux/mount.h`. */
export const MountFlag = {
  ReadOnly: 1,
  NoSuid: 2,
  NoDev: 4,
  NoExec: 8,
  Synchronous: 16,
  Remount: 32,
  MandatoryLock: 64,
  DirSync: 128,
  NoSymFollow: 256,
  NoAccessTime: 1024,
  NoDirAccessTime: 2048,
  Bind: 4096,
  Move: 8192,
  Recursive: 16384,
  Silent: 32768,
  PosixAcl: 0x10000,
  Unbindable: 0x20000,
  Private: 0x40000,
  Slave: 0x80000,
  Shared: 0x100000,
  RelativeAccessTime: 0x200000,
  IVersion: 0x800000,
  StrictAccessTime: 0x1000000,
  LazyTime: 0x2000000,
} as const;

/** An option, its bits, and whether it clears them. Later options override earlier ones. */
type Row = readonly [word: string, bits: number, clear?: 'clear'];

/** The flags of mount(8); the OCI runtime specification (config.md, "Mounts") has the same names. */
const flagRows: readonly Row[] = [
  ['defaults', 0],
  ['ro', MountFlag.ReadOnly],
  ['rw', MountFlag.ReadOnly, 'clear'],
  ['nosuid', MountFlag.NoSuid],
  ['suid', MountFlag.NoSuid, 'clear'],
  ['nodev', MountFlag.NoDev],
  ['dev', MountFlag.NoDev, 'clear'],
  ['noexec', MountFlag.NoExec],
  ['exec', MountFlag.NoExec, 'clear'],
  ['sync', MountFlag.Synchronous],
  ['async', MountFlag.Synchronous, 'clear'],
  ['remount', MountFlag.Remount],
  ['mand', MountFlag.MandatoryLock],
  ['nomand', MountFlag.MandatoryLock, 'clear'],
  ['dirsync', MountFlag.DirSync],
  ['nosymfollow', MountFlag.NoSymFollow],
  ['symfollow', MountFlag.NoSymFollow, 'clear'],
  ['noatime', MountFlag.NoAccessTime],
  ['atime', MountFlag.NoAccessTime, 'clear'],
  ['nodiratime', MountFlag.NoDirAccessTime],
  ['diratime', MountFlag.NoDirAccessTime, 'clear'],
  ['bind', MountFlag.Bind],
  ['rbind', MountFlag.Bind | MountFlag.Recursive],
  ['silent', MountFlag.Silent],
  ['loud', MountFlag.Silent, 'clear'],
  ['acl', MountFlag.PosixAcl],
  ['noacl', MountFlag.PosixAcl, 'clear'],
  ['relatime', MountFlag.RelativeAccessTime],
  ['norelatime', MountFlag.RelativeAccessTime, 'clear'],
  ['iversion', MountFlag.IVersion],
  ['noiversion', MountFlag.IVersion, 'clear'],
  ['strictatime', MountFlag.StrictAccessTime],
  ['nostrictatime', MountFlag.StrictAccessTime, 'clear'],
  ['lazytime', MountFlag.LazyTime],
  ['nolazytime', MountFlag.LazyTime, 'clear'],
];

/** Propagation types. Each is set by a separate mount(2) call after the mount. */
const propagationRows: readonly Row[] = [
  ['private', MountFlag.Private],
  ['rprivate', MountFlag.Private | MountFlag.Recursive],
  ['shared', MountFlag.Shared],
  ['rshared', MountFlag.Shared | MountFlag.Recursive],
  ['slave', MountFlag.Slave],
  ['rslave', MountFlag.Slave | MountFlag.Recursive],
  ['unbindable', MountFlag.Unbindable],
  ['runbindable', MountFlag.Unbindable | MountFlag.Recursive],
];

const flags: ReadonlyMap<string, Row> = new Map(flagRows.map((row) => [row[0], row]));
const propagations: ReadonlyMap<string, number> = new Map(
  propagationRows.map(([word, bits]) => [word, bits]),
);

export interface MountOptions {
  /** MS_* bits of the mount. */
  readonly flags: number;
  /** MS_* bits of each propagation change, in order. */
  readonly propagation: readonly number[];
  /** Filesystem-specific options: `size=64m`, `lowerdir=/a:/b`. */
  readonly data: readonly string[];
}

/** Splits mount options into the arguments of mount(2). An unknown option is passed to the filesystem. */
export function parseMountOptions(words: readonly string[]): MountOptions {
  let bits = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const word of words) {
    const flag = flags.get(word);
    const change = propagations.get(word);
    if (flag !== undefined) bits = flag[2] === 'clear' ? bits & ~flag[1] : bits | flag[1];
    else if (change !== undefined) propagation.push(change);
    else if (word !== '') data.push(word);
  }
  return { flags: bits, propagation, data };
}

/** Formats options; parsing the result gives the same options. */
export function formatMountOptions(options: MountOptions): readonly string[] {
  const words: string[] = [];
  let left = options.flags;
  // Options with most bits first, so that a recursive bind is `rbind` instead of `bind` and an unnamed rest.
  for (const [word, bits, clear] of [...flagRows].sort((a, b) => b[1] - a[1])) {
    if (clear === 'clear' || bits === 0 || (left & bits) !== bits) continue;
    words.push(word);
    left &= ~bits;
  }
  if (left !== 0) throw new RangeError(`mount flags 0x${left.toString(16)} have no option word`);
  for (const change of options.propagation) {
    const word = propagationRows.find(([, bits]) => bits === change)?.[0];
    if (word === undefined)
      throw new RangeError(`mount propagation 0x${change.toString(16)} has no option word`);
    words.push(word);
  }
  return [...words, ...options.data];
}

/** Reports whether an option is a mount flag or a propagation type, as opposed to a filesystem-specific option. */
export function isMountOptionWord(word: string): boolean {
  return flags.has(word) || propagations.has(word);
}
