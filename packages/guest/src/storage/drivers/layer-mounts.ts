import { mkdirSync, rmdirSync } from 'node:fs';
import type { WritableLayer } from '../../container/writable-layer.js';
import type { StorageContext } from './storage-driver.js';

type MountContext = Pick<StorageContext, 'media' | 'made'>;

/** Disables features by which extended attributes in a layer could redirect lookups, and devices of the layers. */
const fixed: readonly string[] = ['nodev', 'metacopy=off', 'redirect_dir=nofollow', 'index=off'];

/** Returns the options of an overlay. `lowers`: topmost first. */
export function overlayOptions(lowers: readonly string[], { upper, work }: WritableLayer): readonly string[] {
  return [...fixed, `lowerdir=${lowers.join(':')}`, `upperdir=${upper}`, `workdir=${work}`];
}

/** Mounts an overlay at a new directory. */
export async function mountOverlay(
  target: string,
  options: readonly string[],
  context: MountContext,
): Promise<void> {
  await mountLayer('overlay', target, { type: 'overlay', options }, context);
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
  { type, options }: { readonly type: string; readonly options: readonly string[] },
  context: MountContext,
): Promise<string> {
  const { media, made } = context;
  makeDirectory(target, context);
  await media.run('mount', { source, target, type, options });
  made.push(`mount at ${target}`, () => media.run('unmount', { target }));
  return target;
}

export function makeDirectory(path: string, { made }: Pick<MountContext, 'made'>): void {
  mkdirSync(path, { mode: 0o700 });
  made.push(`directory ${path}`, () => rmdirSync(path));
}
