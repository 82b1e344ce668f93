import {
  type Descriptor,
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
import { GuestError } from '../error/guest-error.js';
import type { OpenSource } from '../source/open-source.js';
import { fstabOptions } from './disk-options.js';
import { isKataOption } from './kata-options.js';
import { bindOptions, unknownMountOption } from './known-options.js';
import type { StorageContext } from './drivers/storage-driver.js';
import { unmount } from './unmount.js';

export interface MountSource {
  readonly source: string;
  /** `tmpfs`, `overlay`, … */
  readonly fstype: string;
  readonly options: readonly string[];
}

/** Reports whether an option is for Kata and not for the kernel. */
function isForKata(option: string): boolean {
  return option.startsWith('io.katacontainers.') || isKataOption(option) || option.startsWith('fsgid=');
}

/** Returns the options for mount(2): common ones (S10), or of this file system, without Kata's. */
export function kernelOptions(
  options: readonly string[],
  isOfFileSystem: (option: string) => boolean = () => false,
): readonly string[] {
  const forKernel = options
    .flatMap((option) => option.split(','))
    .filter((option) => option !== '' && !isForKata(option) && !fstabOptions.has(option));
  const unknown = unknownMountOption(forKernel.filter((option) => !isOfFileSystem(option)));
  if (unknown !== undefined) {
    throw new GuestError('refused', `mount option ${JSON.stringify(unknown)} of a storage is not known`);
  }
  return forKernel;
}

/** Mounts at the storage's mount point, a directory, which is created if it is missing. */
export function mountAt({ source, fstype, options }: MountSource, context: StorageContext): void {
  const request = (target: string): MountRequest => ({ source, target, type: fstype, options });
  withPlace(openPlace(context), (target) => {
    for (const call of mountCalls(request(target)).slice(0, 1)) perform(call, context);
  });
  context.made.push(`mount at ${context.place}`, () => unmountPlace(context));
  // The descriptor above refers to the directory under the mount; the mount itself needs a second open.
  withPlace(context.base.directory(context.place), (target) => {
    for (const call of mountCalls(request(target)).slice(1)) perform(call, context);
  });
}

function perform({ source, target, type, flags, data }: MountCall, { syscalls }: StorageContext): void {
  syscalls.mount(source, target, type, flags, data);
}

function withPlace(place: Held, use: (target: string) => void): void {
  try {
    use(place.path);
  } finally {
    place.close();
  }
}

/** The MS_* bits that a copied mount can have, as mount_setattr(2) attributes. */
const attributes: readonly (readonly [flag: number, attribute: number])[] = [
  [MountFlag.ReadOnly, MountAttribute.ReadOnly],
  [MountFlag.NoSuid, MountAttribute.NoSuid],
  [MountFlag.NoDev, MountAttribute.NoDev],
  [MountFlag.NoExec, MountAttribute.NoExec],
  [MountFlag.NoSymFollow, MountAttribute.NoSymFollow],
];

/**
 * Bind mounts an open source at the storage's mount point, which is created if it is missing: a file for a file, else a
 * directory. The copy is private, whatever the options say of propagation. Closes the source.
 */
export function bindAt(
  source: Pick<OpenSource, 'descriptor' | 'isDirectory' | 'writable'>,
  options: readonly string[],
  context: StorageContext,
): void {
  const { descriptor, isDirectory, writable } = source;
  try {
    const { flags, data } = parseMountOptions(kernelOptions(options, (option) => bindOptions.has(option)));
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
        // Attaching below a shared mount makes the copy shared.
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

/** Opens the directory of the storage's mount point. Directories that have to be created are removed with the storage. */
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

/**
 * Opens the file at the storage's mount point for writing. It is created if it is missing, and the driver removes it; of
 * its directories, those that have to be created are removed with the storage.
 */
export function openFilePlace(context: StorageContext): Descriptor {
  const { base, place } = context;
  makeParents(context, place.split('/').slice(0, -1).join('/'));
  return base.file(place, Open.WriteOnly | Open.Create, 0o600);
}

function openFile({ base, place }: StorageContext): Held {
  const file = base.file(place, Open.ReadOnly);
  return { fd: file.fd, path: `/proc/self/fd/${file.fd}`, close: () => file.close() };
}

/** Creates the missing directories of a path, and the last one; they are removed with the storage if they are empty. */
export function makeParents(context: StorageContext, place: string): void {
  const names = place.split('/').filter((name) => name !== '');
  names.forEach((_, index) => {
    const path = names.slice(0, index + 1).join('/');
    if (context.base.stat(path) !== undefined) return;
    context.made.push(`directory ${path}`, () => removeIfEmpty(context, path));
    context.base.makeDirectory(path, { mode: 0o755 }).close();
  });
}

/** Removes a directory below Kata's directory, with its content. */
export function removeBelow(context: StorageContext, place: string): Promise<void> {
  return inBase(context, (fresh) => fresh.removeTree(place));
}

function removeIfEmpty(context: StorageContext, path: string): Promise<void> {
  return inBase(context, (fresh) => {
    try {
      fresh.removeDirectory(path);
    } catch (error) {
      // Not empty, or removed with the bundle.
      if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT')) throw error;
    }
  });
}

/** Unmounts the storage's mount point, by descriptor: a directory of the path may have been replaced by a link. */
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

/** Opens Kata's directory again for an undo step: the descriptor of the creation is closed by then. */
async function inBase(
  context: Pick<StorageContext, 'syscalls' | 'paths'>,
  use: (base: Directory) => void | Promise<void>,
): Promise<void> {
  const base = Directory.open(context.syscalls, context.paths.kata);
  try {
    await use(base);
  } finally {
    base.close();
  }
}
