import {
  Descriptor,
  Directory,
  MountAttribute,
  mountCalls,
  MountFlag,
  parseMountOptions,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OpenSource } from '../source/open-source.js';
import { bindOptions, fstabOptions, unknownMountOption } from './storage-options.js';
import { isKataOption } from './kata-options.js';
import type { StorageContext } from './drivers/storage-driver.js';
import type { Made } from './place-calls.js';

export interface MountSource {
  readonly source: string;
  /** `tmpfs`, `overlay`, … */
  readonly fstype: string;
  readonly options: readonly string[];
  /** What the options name by `lentPath`, from 1: Kata's directory is lent before. */
  readonly lent?: readonly number[];
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
export async function mountAt(
  { source, fstype, options, lent = [] }: MountSource,
  context: StorageContext,
): Promise<void> {
  const { media, base, place } = context;
  const calls = mountCalls({ source, target: '', type: fstype, options });
  const { made } = await media.run('mountDirectory', { place, calls }, [base.fd, ...lent]);
  pushMade(context, made);
  context.made.push(`mount at ${place}`, () => unmountPlace(context));
}

/** Pushes the removal of what was created for a mount point. */
function pushMade({ made: steps, media, paths }: StorageContext, made: readonly Made[]): void {
  for (const each of made)
    steps.push(`${each.kind} ${each.path}`, () =>
      media.run('removeMade', { kata: paths.kata, made: [each] }),
    );
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
export async function bindAt(
  source: Pick<OpenSource, 'descriptor' | 'isDirectory' | 'writable'>,
  options: readonly string[],
  context: StorageContext,
): Promise<void> {
  const { descriptor, isDirectory, writable } = source;
  const { media, base, place } = context;
  try {
    const { flags, data } = parseMountOptions(kernelOptions(options, (option) => bindOptions.has(option)));
    if (data.length > 0)
      throw new GuestError('refused', `mount option ${JSON.stringify(data[0])} of a bind is not known`);
    const bits = attributes.filter(([flag]) => (flags & flag) !== 0).map(([, bit]) => bit);
    const all = bits.reduce((sum, bit) => sum | bit, writable ? 0 : MountAttribute.ReadOnly);
    const bind = { isDirectory, recursive: (flags & MountFlag.Recursive) !== 0, attributes: all };
    const { made } = await media.run('bindPlace', { place, bind }, [base.fd, descriptor.fd]);
    pushMade(context, made);
    context.made.push(`mount at ${place}`, () => unmountPlace(context));
  } finally {
    descriptor.close();
  }
}

/** Opens the directory of the storage's mount point. Directories that have to be created are removed with the storage. */
export async function openPlace(context: StorageContext): Promise<Directory> {
  const { media, base, place, syscalls } = context;
  const { fd, made } = await media.run('openPlace', { place }, [base.fd]);
  pushMade(context, made);
  return Directory.of(syscalls, new Descriptor(syscalls, fd));
}

/**
 * Opens the file at the storage's mount point for writing. It is created if it is missing, and the driver removes it; of
 * its directories, those that have to be created are removed with the storage.
 */
export async function openFilePlace(context: StorageContext): Promise<Descriptor> {
  const { media, base, place, syscalls } = context;
  const { fd, made } = await media.run('openFilePlace', { place }, [base.fd]);
  pushMade(context, made);
  return new Descriptor(syscalls, fd);
}

/** Creates the missing directories of a path, and the last one; they are removed with the storage if they are empty. */
export async function makeParents(context: StorageContext, place: string): Promise<void> {
  const { media, base } = context;
  pushMade(context, await media.run('makeDirectories', { place }, [base.fd]));
}

/** Removes a directory below Kata's directory, with its content. */
export function removeBelow({ media, paths }: StorageContext, place: string): Promise<void> {
  return media.run('removeAt', { top: paths.kata, place });
}

/** Unmounts the storage's mount point with the mounts below it. */
export function unmountPlace({
  media,
  paths,
  place,
}: Pick<StorageContext, 'media' | 'paths' | 'place'>): Promise<void> {
  return media.run('unmountPlace', { kata: paths.kata, place });
}
