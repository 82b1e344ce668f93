import { mkdirSync, rmdirSync } from 'node:fs';
import type { Directory } from '@kata-agent/linux';
import { lentPath } from '../../media/lent-path.js';
import type { StorageContext } from './storage-driver.js';

type MountContext = Pick<StorageContext, 'media' | 'made'>;

/** Disables features by which extended attributes in a layer could redirect lookups, and devices of the layers. */
const fixed: readonly string[] = ['nodev', 'metacopy=off', 'redirect_dir=nofollow', 'index=off'];

/** The options of an overlay, and the descriptors that they name. */
export interface OverlayLayers {
  readonly options: readonly string[];
  readonly lent: readonly number[];
}

/** Directories of an overlay, open. */
interface OpenLayers {
  /** Topmost first. */
  readonly lowers: readonly Directory[];
  readonly upper: Directory;
  readonly work: Directory;
}

/**
 * Returns the options of an overlay, which name the descriptors of its directories: their paths contain none of overlayfs' separators.
 *
 * @param before descriptors that are lent before these
 */
export function overlayOf(
  { lowers, upper, work }: OpenLayers,
  before: readonly number[] = [],
): OverlayLayers {
  const at = before.length + lowers.length;
  const below = lowers.map((_, index) => lentPath(before.length + index)).join(':');
  return {
    options: [...fixed, `lowerdir=${below}`, `upperdir=${lentPath(at)}`, `workdir=${lentPath(at + 1)}`],
    lent: [...before, ...[...lowers, upper, work].map(({ fd }) => fd)],
  };
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
