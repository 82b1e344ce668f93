import { mkdirSync, rmdirSync } from 'node:fs';
import { Descriptor, type MountRequest } from '@kata-agent/linux';
import { lentPath } from '../../media/host-media.js';
import type { MountedLayers } from '../open-layers.js';
import type { StorageContext } from './storage-driver.js';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Mounts at a directory of the agent. Lent: what the options name by `lentPath`. */
    readonly mount: (args: MountRequest) => { readonly target: string };
  }
}

type MountContext = Pick<StorageContext, 'media' | 'made'>;

/** Disables features by which extended attributes in a layer could redirect lookups, and devices of the layers. */
const fixed: readonly string[] = ['nodev', 'metacopy=off', 'redirect_dir=nofollow', 'index=off'];

/** The options of an overlay, and the descriptors that they name. */
export interface OverlayLayers {
  readonly options: readonly string[];
  readonly lent: readonly number[];
}

/**
 * Opens the directories of an overlay while a function mounts it. The options name descriptors: the paths could contain overlayfs'
 * separators.
 *
 * @param before descriptors that are lent before these
 */
export async function withOverlay(
  layers: MountedLayers,
  { media, syscalls }: Pick<StorageContext, 'media' | 'syscalls'>,
  use: (overlay: OverlayLayers) => Promise<void>,
  before: readonly number[] = [],
): Promise<void> {
  const { lowers, upper, work } = await media.run('openLayers', layers);
  const opened = [...lowers, upper, work].map((fd) => new Descriptor(syscalls, fd));
  try {
    const at = before.length + lowers.length;
    const below = lowers.map((_, index) => lentPath(before.length + index)).join(':');
    await use({
      options: [...fixed, `lowerdir=${below}`, `upperdir=${lentPath(at)}`, `workdir=${lentPath(at + 1)}`],
      lent: [...before, ...opened.map(({ fd }) => fd)],
    });
  } finally {
    for (const each of opened) each.close();
  }
}

/** Mounts an overlay at a new directory. */
export async function mountOverlay(
  target: string,
  { options, lent }: OverlayLayers,
  context: MountContext,
): Promise<void> {
  await mountLayer('overlay', target, { type: 'overlay', options, lent }, context);
}

/** Mounts a read-only layer at a new directory, which it returns. */
export async function mountErofs(
  device: string,
  target: string,
  options: readonly string[],
  context: MountContext,
): Promise<string> {
  await context.media.run('refuseSecondDevice', { device, fstype: 'erofs' });
  return mountLayer(
    device,
    target,
    { type: 'erofs', options: [...options, 'ro', 'nosuid', 'nodev'] },
    context,
  );
}

/** Mounts a layer at a new directory, which it returns. */
export async function mountLayer(
  source: string,
  target: string,
  {
    type,
    options,
    lent = [],
  }: { readonly type: string; readonly options: readonly string[]; readonly lent?: readonly number[] },
  context: MountContext,
): Promise<string> {
  const { media, made } = context;
  makeDirectory(target, context);
  await media.run('mount', { source, target, type, options }, lent);
  made.push(`mount at ${target}`, () => media.run('unmount', { target }));
  return target;
}

export function makeDirectory(path: string, { made }: Pick<MountContext, 'made'>): void {
  mkdirSync(path, { mode: 0o700 });
  made.push(`directory ${path}`, () => rmdirSync(path));
}
