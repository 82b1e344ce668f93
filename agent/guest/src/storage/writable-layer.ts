import { chmodSync, chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { mount, type Syscalls } from '@kata-agent/linux';
import { type HostMedia, lentPath } from '../media/host-media.js';
import { unmount } from '../removal/unmount.js';
import type { UndoStack } from '../undo-stack.js';

/** The upper and work directories of an overlay. */
export interface WritableLayer {
  readonly upper: string;
  readonly work: string;
}

/**
 * Creates the writable layer of a container: a tmpfs in its bundle with its own size limit, so that a container that
 * fills it takes no space from the agent or from other containers (S36).
 */
export function makeWritableLayer(bundle: string, syscalls: Syscalls, made: UndoStack): WritableLayer {
  const target = join(bundle, 'writable');
  mkdirSync(target, { mode: 0o700 });
  made.push(`directory ${target}`, () => rmdirSync(target));
  const options = ['nosuid', 'nodev', 'mode=700', 'size=50%'];
  mount(syscalls, { source: 'tmpfs', target, type: 'tmpfs', options });
  made.push(`mount at ${target}`, () => unmount(target, syscalls));
  const layer = { upper: join(target, 'upper'), work: join(target, 'work') };
  for (const directory of [layer.upper, layer.work]) mkdirSync(directory, { mode: 0o755 });
  return layer;
}

/** An overlay for writes, so that a directory itself stays unchanged. */
interface CopyOnWrite {
  /** A descriptor of the directory, with O_PATH. */
  readonly lower: number;
  /** Path of an empty directory. */
  readonly target: string;
  /** The directory in which the writable layer is created. */
  readonly bundle: string;
}

/** Mounts an overlay of a directory and of a writable layer of its own. */
export async function mountCopyOnWrite(
  { lower, target, bundle }: CopyOnWrite,
  { syscalls, media }: { readonly syscalls: Syscalls; readonly media: HostMedia },
  made: UndoStack,
): Promise<void> {
  const { upper, work } = makeWritableLayer(bundle, syscalls, made);
  // The root of an overlay has the owner and mode of its upper directory.
  const { uid, gid, mode } = await media.run('attributesOf', {}, [lower]);
  chownSync(upper, uid, gid);
  chmodSync(upper, mode & 0o7777);
  // The /proc path of the descriptor contains none of overlayfs' separators.
  const layers = [`lowerdir=${lentPath(0)}`, `upperdir=${upper}`, `workdir=${work}`, 'metacopy=off'];
  const overlay = { source: 'overlay', target, type: 'overlay', options: ['nodev', ...layers] };
  await media.run('mount', overlay, [lower]);
  made.push(`mount at ${target}`, () => media.run('unmount', { target }));
}
