import { At, hasCode, Open, Resolve, type Syscalls } from '@kata-agent/linux';
import type { EntryName } from './entry-name.js';
import { LayerError } from './layer-error.js';

const exact: number = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
/** Each level holds a descriptor. Links let layers build trees that are deeper than any of their names. */
const levelsAtMost = 400;

interface RemoveBelowOptions {
  /** Reports whether a name, as a path below the root, stays. */
  readonly keep: (path: string) => boolean;
  /** Called for each name; throws if time is up. */
  readonly tick: () => void;
}

/** Removes a name in an open directory with everything below it, by descriptors. A missing name is no error. */
export function removeBelow(
  syscalls: Syscalls,
  parent: number,
  name: EntryName,
  options: RemoveBelowOptions,
  level = 0,
): void {
  const path = name.join('/');
  const last = Buffer.from(name.at(-1) ?? '', 'latin1');
  options.tick();
  if (level > levelsAtMost)
    throw new LayerError('limit', `a directory to remove has more than ${levelsAtMost} levels`);
  let fd: number;
  try {
    fd = syscalls.openat2(parent, last, {
      flags: Open.ReadOnly | Open.Directory | Open.NoFollow,
      resolve: exact,
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    // ELOOP: a symbolic link, which is removed itself.
    if (!hasCode(error, 'ENOTDIR', 'ELOOP')) throw error;
    if (!options.keep(path)) syscalls.unlinkat(parent, last, 0);
    return;
  }
  try {
    for (const child of syscalls.readDirectory(fd)) {
      const below = [...name, Buffer.from(child).toString('latin1')];
      removeBelow(syscalls, fd, below, options, level + 1);
    }
  } finally {
    syscalls.close(fd);
  }
  if (!options.keep(path)) syscalls.unlinkat(parent, last, At.RemoveDirectory);
}
