import {
  Directory,
  hasCode,
  MountAttribute,
  type MountCall,
  MountFlag,
  type MountRequest,
  mountCalls,
  MountTree,
  Open,
  parseMountOptions,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OpenSource } from '../source/open-source.js';
import { unknownMountOption } from './known-options.js';
import type { StorageContext } from './storage-driver.js';
import { unmount } from './unmount.js';

export interface MountSource {
  readonly source: string;
  /** `tmpfs`, `overlay`, … */
  readonly fstype: string;
  readonly options: readonly string[];
}

/** Options that say something to Kata and nothing to the kernel. */
function isForKata(option: string): boolean {
  return (
    option.startsWith('io.katacontainers.') || option.startsWith('X-kata.') || option.startsWith('fsgid=')
  );
}

/** The options for mount(2): all of them known (S10), or of this file system; none of them Kata's. */
export function kernelOptions(
  options: readonly string[],
  ofFileSystem: ReadonlySet<string> = new Set(),
): readonly string[] {
  const forKernel = options
    .flatMap((option) => option.split(','))
    .filter((option) => option !== '' && !isForKata(option));
  const unknown = unknownMountOption(forKernel.filter((option) => !ofFileSystem.has(option)));
  if (unknown !== undefined) {
    throw new GuestError('refused', `mount option ${JSON.stringify(unknown)} of a storage is not known`);
  }
  return forKernel;
}

/** Mounts at the storage's place, a directory, which is made if it is missing. */
export function mountAt({ source, fstype, options }: MountSource, context: StorageContext): void {
  const request = (target: string): MountRequest => ({ source, target, type: fstype, options });
  withPlace(openPlace(context), (target) => {
    for (const call of mountCalls(request(target)).slice(0, 1)) perform(call, context);
  });
  context.made.push(`mount at ${context.place}`, () => unmountPlace(context));
  // What was held above is the place under the mount. The rest is for the mount itself, which is found by opening again.
  withPlace(context.base.directory(context.place), (target) => {
    for (const call of mountCalls(request(target)).slice(1)) perform(call, context);
  });
}

function perform({ source, target, type, flags, data }: MountCall, { syscalls }: StorageContext): void {
  syscalls.mount(source, target, type, flags, data);
}

function withPlace(place: Held, deed: (target: string) => void): void {
  try {
    deed(place.path);
  } finally {
    place.close();
  }
}

/** The MS_* bits that a copy of a mount can have, as mount_setattr(2) names them. */
const attributes: readonly (readonly [flag: number, attribute: number])[] = [
  [MountFlag.ReadOnly, MountAttribute.ReadOnly],
  [MountFlag.NoSuid, MountAttribute.NoSuid],
  [MountFlag.NoDev, MountAttribute.NoDev],
  [MountFlag.NoExec, MountAttribute.NoExec],
  [MountFlag.NoSymFollow, MountAttribute.NoSymFollow],
];

/**
 * Shows a source that was opened at the storage's place, which is made if it is missing: a file for a file, else a directory.
 * The copy is private, whatever the options say of propagation. Closes the source.
 */
export function bindAt(source: OpenSource, options: readonly string[], context: StorageContext): void {
  const { descriptor, isDirectory, writable } = source;
  try {
    const { flags, data } = parseMountOptions(kernelOptions(options));
    if (data.length > 0)
      throw new GuestError('refused', `mount option ${JSON.stringify(data[0])} of a bind is not known`);
    const bits = attributes.filter(([flag]) => (flags & flag) !== 0).map(([, bit]) => bit);
    const all = bits.reduce((sum, bit) => sum | bit, writable ? 0 : MountAttribute.ReadOnly);
    const tree = MountTree.copy(context.syscalls, descriptor.fd, {
      recursive: (flags & MountFlag.Recursive) !== 0,
    });
    try {
      tree.restrict(all);
      const place = isDirectory ? openPlace(context) : makeFile(context);
      try {
        tree.attach(place.fd);
        // Attached in a shared mount it would have become shared.
        tree.setPropagation(MountFlag.Private);
      } finally {
        place.close();
      }
    } finally {
      tree.close();
    }
    context.made.push(`mount at ${context.place}`, () => unmountPlace(context));
  } finally {
    descriptor.close();
  }
}

/** The directory at the storage's place, held open. Those that had to be made are taken back with the storage. */
export function openPlace(context: StorageContext): Directory {
  makeParents(context, context.place);
  return context.base.directory(context.place);
}

interface Held {
  readonly fd: number;
  readonly path: string;
  close(): void;
}

function makeFile(context: StorageContext): Held {
  const { base, place, made } = context;
  makeParents(context, place.split('/').slice(0, -1).join('/'));
  if (base.stat(place) === undefined) {
    base.file(place, Open.ReadWrite | Open.Create | Open.Exclusive, 0o644).close();
    made.push(`file ${place}`, () => inBase(context, (fresh) => fresh.unlink(place)));
  }
  return openFile(context);
}

function openFile({ base, place }: StorageContext): Held {
  const file = base.file(place, Open.ReadOnly);
  return { fd: file.fd, path: `/proc/self/fd/${file.fd}`, close: () => file.close() };
}

/** Makes the directories down to a place, and the place, where they are missing; empty ones are taken back with the storage. */
export function makeParents(context: StorageContext, place: string): void {
  const names = place.split('/').filter((name) => name !== '');
  names.forEach((_, index) => {
    const path = names.slice(0, index + 1).join('/');
    if (context.base.stat(path) !== undefined) return;
    context.made.push(`directory ${path}`, () => removeIfEmpty(context, path));
    context.base.makeDirectory(path, { mode: 0o755 }).close();
  });
}

/** Removes a directory below Kata's with all that is in it. */
export function removeBelow(context: StorageContext, place: string): Promise<void> {
  return inBase(context, (fresh) => fresh.removeTree(place));
}

function removeIfEmpty(context: StorageContext, path: string): Promise<void> {
  return inBase(context, (fresh) => {
    try {
      fresh.removeDirectory(path);
    } catch (error) {
      // Others have put something there since, or it went with the bundle.
      if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT')) throw error;
    }
  });
}

/** By descriptor, since a link could have been put in the way. */
export function unmountPlace(context: Pick<StorageContext, 'syscalls' | 'paths' | 'place'>): Promise<void> {
  const { syscalls, place } = context;
  return inBase(context, async (fresh) => {
    const [parent, name] = parentAndName(place);
    const directory = parent === '' ? undefined : fresh.directory(parent);
    try {
      await unmount(`${(directory ?? fresh).path}/${name}`, syscalls);
    } finally {
      directory?.close();
    }
  });
}

function parentAndName(place: string): readonly [parent: string, name: string] {
  const at = place.lastIndexOf('/');
  return [place.slice(0, Math.max(at, 0)), place.slice(at + 1)];
}

/** Long after it was prepared, a storage is taken back through a directory that is opened anew. */
async function inBase(
  context: Pick<StorageContext, 'syscalls' | 'paths'>,
  deed: (base: Directory) => void | Promise<void>,
): Promise<void> {
  const base = Directory.open(context.syscalls, context.paths.kata);
  try {
    await deed(base);
  } finally {
    base.close();
  }
}
