import { MountAttribute, type MountAttributeChange } from '@kata-agent/linux';

/** What an option of a bind mount does to it. Options that only take back what another one says are the others, absent. */
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

/** Options that end the effect of another one before them. */
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

/** An option for all mounts of a tree, as the one for its topmost mount: `rro`, `ro`. Any other stays as it is. */
export function withoutRecursion(option: string): string {
  return option.startsWith('r') && all.includes(option.slice(1)) ? option.slice(1) : option;
}

/** What options of a bind mount change, of its source's topmost mount and of all. */
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

/** Options that would make a mount writable or lift a limit do nothing but end an earlier one's effect. */
function mountAttributes(options: readonly string[]): MountAttributeChange {
  const names: string[] = [];
  for (const option of options) {
    const opposite = opposites.get(option);
    if (changes.has(option)) names.push(option);
    else if (opposite !== undefined && names.includes(opposite)) names.splice(names.indexOf(opposite), 1);
  }
  // Of the access time's modes the last one counts.
  const times = names.filter((name) => changes.get(name)?.clear !== undefined);
  const last = times.at(-1);
  const set = names
    .filter((name) => !times.includes(name) || name === last)
    .reduce((bits, name) => bits | (changes.get(name)?.set ?? 0), 0);
  return { set, clear: last === undefined ? 0 : MountAttribute.AccessTime };
}
