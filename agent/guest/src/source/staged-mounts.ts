import { closeSync, mkdirSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, MountAttribute, mounts, mountsBelow, MountTree, type Syscalls } from '@kata-agent/linux';
import type { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import type { OpenSource } from './open-source.js';
import { quotedPath } from '../quoted.js';

/** Number of copies that are checked with one read of the mount table. */
const checkedAtOnce = 32;

/** Limit of the mounts below the copies: more than a container has in a guest with dozens of containers. */
const maxMountsBelow = 4_096;

/** Dependencies of copies. */
export interface StagingContext {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
}

/** Options of a copy. */
export interface StageOptions {
  /** Copies the mounts below it too. */
  readonly recursive: boolean;
  /** `MountAttribute` bits of the copy. */
  readonly attributes: number;
}

/**
 * Mounts of one container, copied by descriptor into a directory of the agent, and passed to the OCI runtime instead of
 * the request's paths. No path of the request is resolved twice: what the host changes after the source was opened, in
 * its share or by a mount, has no effect here (S29, S30).
 */
export class StagedMounts {
  readonly #directory: string;
  readonly #context: StagingContext;
  readonly #made: UndoStack;
  /** Copies whose submounts come from sources that a request can control: the source of each. */
  readonly #unchecked: Map<string, OpenSource> = new Map();
  #count = 0;

  /** Creates the directory. @param made receives the steps that undo all copies. */
  constructor(directory: string, context: StagingContext, made: UndoStack) {
    this.#directory = directory;
    this.#context = context;
    this.#made = made;
    mkdirSync(directory, { mode: 0o700 });
    made.push(`directory ${directory}`, () => rmdirSync(directory));
  }

  /**
   * Returns the path of the copy, valid as long as the container exists. Closes the source. The submounts of recursive
   * copies are checked by `check`, many copies at a time: the mount table is read as a whole, and grows with each.
   */
  stage(source: OpenSource, options: StageOptions): string {
    this.#count += 1;
    const place = join(this.#directory, String(this.#count));
    try {
      copyMount(place, source, options, this.#context, this.#made);
      this.#unchecked.set(place, source);
      if (this.#unchecked.size >= checkedAtOnce) this.check();
      return place;
    } finally {
      source.descriptor.close();
    }
  }

  /**
   * Checks the submounts of the copies since the last check.
   *
   * @throws GuestError `refused` for a kernel interface file system, `exhausted` for too many mounts
   */
  check(): void {
    const below = refuseInterfacesIn(this.#directory, this.#unchecked);
    this.#unchecked.clear();
    if (below > maxMountsBelow)
      throw new GuestError(
        'exhausted',
        `the sources of the container's mounts have more than ${maxMountsBelow} mounts below them; help: mount them without rbind`,
      );
  }
}

/** Copies a source to a path that does not exist yet, in a directory of the agent. */
export function stageAt(
  place: string,
  source: OpenSource,
  options: StageOptions,
  context: StagingContext,
  made: UndoStack,
): void {
  copyMount(place, source, options, context, made);
  refuseInterfacesIn(place, new Map([[place, source]]));
}

/** Copies the mount of a source, as `stageAt`; the mounts below it are not checked. */
export function copyMount(
  place: string,
  source: Pick<OpenSource, 'descriptor' | 'isDirectory' | 'writable'>,
  { recursive, attributes }: StageOptions,
  { syscalls, media }: StagingContext,
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
  made.push(`mount at ${place}`, () => media.run('unmount', { target: place }));
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

/** Kernel interface file systems, by their types in the mount table. */
const interfaces: ReadonlySet<string> = new Set(
  `proc sysfs cgroup cgroup2 devpts devtmpfs securityfs debugfs tracefs configfs bpf efivarfs pstore selinuxfs
  fusectl mqueue binfmt_misc rpc_pipefs nfsd nsfs`.split(/\s+/),
);

/**
 * Refuses kernel interface file systems in copies; returns the number of mounts in the directory. `sources`: by the paths of
 * their copies, all in the directory.
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
      `source ${quotedPath(source.path)} has a mount of file system ${type} at ${quotedPath(below === '' ? '/' : below)}`,
    );
  }
  return found.length;
}
