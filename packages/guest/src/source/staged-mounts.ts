import { closeSync, mkdirSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, MountAttribute, mounts, mountsBelow, MountTree, type Syscalls } from '@kata-agent/linux';
import type { UndoStack } from '../container/undo-stack.js';
import { GuestError } from '../guest-error.js';
import { unmount } from '../storage/unmount.js';
import { quoted } from './clean-path.js';
import type { OpenSource } from './open-source.js';

/** So many copies are looked at together, by one look at the mount table. */
const checkedAtOnce = 32;

/** A container's recursive copies have no more mounts in them than a guest with dozens of containers has. */
const maxMountsBelow = 4_096;

/** How a source is copied. */
export interface StageOptions {
  /** The mounts below it too. */
  readonly recursive: boolean;
  /** `MountAttribute` bits of the copy. */
  readonly attributes: number;
}

/**
 * Mounts of one container, copied by descriptor into a directory of the agent's own, which the OCI runtime is given in the
 * place of what the request named. No name of the request is looked up again: what the host changes after the source was
 * opened, in its share or by a mount, changes nothing here (S29, S30).
 */
export class StagedMounts {
  readonly #directory: string;
  readonly #syscalls: Syscalls;
  readonly #made: UndoStack;
  /** Those whose mounts below come from where a request may have put them: which source has which place. */
  readonly #unchecked: Map<string, OpenSource> = new Map();
  #count = 0;

  /** Makes the directory. @param made takes back, in reverse, all that is staged. */
  constructor(directory: string, syscalls: Syscalls, made: UndoStack) {
    this.#directory = directory;
    this.#syscalls = syscalls;
    this.#made = made;
    mkdirSync(directory, { mode: 0o700 });
    made.push(`directory ${directory}`, () => rmdirSync(directory));
  }

  /**
   * The path of the copy, which holds as long as the container does. Closes the source. What a recursive copy brought along
   * is looked at by `check`, for many of them at once: the mount table is read as a whole, and grows with each.
   */
  stage(source: OpenSource, options: StageOptions): string {
    this.#count += 1;
    const place = join(this.#directory, String(this.#count));
    try {
      copyTo(place, source, options, this.#syscalls, this.#made);
      this.#unchecked.set(place, source);
      if (this.#unchecked.size >= checkedAtOnce) this.check();
      return place;
    } finally {
      source.descriptor.close();
    }
  }

  /**
   * Looks at what the copies since the last look have brought along.
   *
   * @throws GuestError `refused` for one of the kernel's interfaces, `exhausted` for too many mounts
   */
  check(): void {
    const below = refuseInterfacesIn(this.#directory, this.#unchecked);
    this.#unchecked.clear();
    if (below > maxMountsBelow)
      throw new GuestError(
        'exhausted',
        `the sources of the container's mounts have more than ${maxMountsBelow} mounts in them; a mount without rbind leaves them out`,
      );
  }
}

/** Copies a source to a place that is not there yet, in a directory of the agent's own. */
export function stageAt(
  place: string,
  source: OpenSource,
  options: StageOptions,
  syscalls: Syscalls,
  made: UndoStack,
): void {
  copyTo(place, source, options, syscalls, made);
  refuseInterfacesIn(place, new Map([[place, source]]));
}

function copyTo(
  place: string,
  source: OpenSource,
  { recursive, attributes }: StageOptions,
  syscalls: Syscalls,
  made: UndoStack,
): void {
  makePlace(place, source.isDirectory, made);
  const tree = MountTree.copy(syscalls, source.descriptor.fd, { recursive });
  try {
    tree.restrict(source.writable ? attributes : attributes | MountAttribute.ReadOnly);
    attach(tree, place, syscalls);
  } finally {
    tree.close();
  }
  made.push(`mount at ${place}`, () => unmount(place, syscalls));
}

function makePlace(place: string, isDirectory: boolean, made: UndoStack): void {
  if (isDirectory) {
    mkdirSync(place, { mode: 0o700 });
    made.push(`directory ${place}`, () => rmdirSync(place));
  } else {
    closeSync(openSync(place, 'wx', 0o600));
    made.push(`file ${place}`, () => unlinkSync(place));
  }
}

function attach(tree: MountTree, place: string, syscalls: Syscalls): void {
  const parent = Directory.open(syscalls, join(place, '..'));
  try {
    const target = parent.place(place.slice(place.lastIndexOf('/') + 1));
    try {
      tree.attach(target.fd);
    } finally {
      target.close();
    }
  } finally {
    parent.close();
  }
}

/** What a recursive copy brought along. Named as the mount table has them. */
const interfaces: ReadonlySet<string> = new Set(
  `proc sysfs cgroup cgroup2 devpts devtmpfs securityfs debugfs tracefs configfs bpf efivarfs pstore selinuxfs
  fusectl mqueue binfmt_misc rpc_pipefs nfsd nsfs`.split(/\s+/),
);

/**
 * Returns how many mounts there are in a directory. `sources`: by the places of their copies, all of which are the directory or
 * lie in it.
 */
function refuseInterfacesIn(directory: string, sources: ReadonlyMap<string, OpenSource>): number {
  if (sources.size === 0) return 0;
  const checked = [...sources].filter(([, { kind }]) => kind === 'kata' || kind === 'listed');
  const found = mountsBelow(directory, mounts());
  for (const { target, type } of found.filter((each) => interfaces.has(each.type))) {
    const copied = checked.find(([place]) => target === place || target.startsWith(`${place}/`));
    if (copied === undefined) continue;
    const [place, source] = copied;
    const below = target.slice(place.length);
    throw new GuestError(
      'refused',
      `source ${quoted(source.path)} has a mount of file system ${type} at ${quoted(below === '' ? '/' : below)}`,
    );
  }
  return found.length;
}
