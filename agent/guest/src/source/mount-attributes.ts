import { MountAttribute, type MountAttributeChange } from '@kata-agent/linux';

/** Effects of the options of a bind mount. Options that only revert another one are not listed. */
const changes: ReadonlyMap<string, Partial<MountAttributeChange>> = new Map(
  Object.entries({
    ro: { set: MountAttribute.ReadOnly },
    nosuid: { set: MountAttribute.NoSuid },
    nodev: { set: MountAttribute.NoDev },
    noexec: { set: MountAttribute.NoExec },
    nosymfollow: { set: MountAttribute.NoSymFollow },
    nodiratime: { set: MountAttribute.NoDirectoryAccessTime },
    noatime: { set: MountAttribute.NoAccessTime, clear: MountAttribute.AccessTime },
    strictatime: { set: MountAttribute.StrictAccessTime, clear: MountAttribute.AccessTime },
    relatime: { clear: MountAttribute.AccessTime },
  }),
);

/** Options that revert an earlier one. */
const opposites: ReadonlyMap<string, string> = new Map(
  Object.entries({
    rw: 'ro',
    suid: 'nosuid',
    dev: 'nodev',
    exec: 'noexec',
    symfollow: 'nosymfollow',
    diratime: 'nodiratime',
    atime: 'noatime',
    nostrictatime: 'strictatime',
    norelatime: 'relatime',
  }),
);

const all: readonly string[] = [...changes.keys(), ...opposites.keys()];

/** Returns the plain form of a recursive option: `ro` for `rro`. Others are returned unchanged. */
export function withoutRecursion(option: string): string {
  return option.startsWith('r') && all.includes(option.slice(1)) ? option.slice(1) : option;
}

/** Returns the attribute changes of a bind mount's options, for the topmost mount and for all of its source. */
export function bindAttributes(options: readonly string[]): {
  readonly top: MountAttributeChange;
  readonly all: MountAttributeChange;
} {
  const isForAll = (option: string): boolean => withoutRecursion(option) !== option;
  return {
    top: mountAttributes(options.filter((option) => !isForAll(option))),
    all: mountAttributes(options.filter(isForAll).map(withoutRecursion)),
  };
}

/** Options such as `rw` only revert an earlier option: they never clear an attribute that the mount has. */
function mountAttributes(options: readonly string[]): MountAttributeChange {
  const names: string[] = [];
  for (const option of options) {
    const opposite = opposites.get(option);
    if (changes.has(option)) names.push(option);
    else if (opposite !== undefined && names.includes(opposite)) names.splice(names.indexOf(opposite), 1);
  }
  // The last option of the access time wins.
  const times = names.filter((name) => changes.get(name)?.clear !== undefined);
  const last = times.at(-1);
  const set = names
    .filter((name) => !times.includes(name) || name === last)
    .reduce((bits, name) => bits | (changes.get(name)?.set ?? 0), 0);
  return { set, clear: last === undefined ? 0 : MountAttribute.AccessTime };
}
