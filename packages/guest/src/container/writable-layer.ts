import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { mount, type Syscalls } from '@kata-agent/linux';
import { unmount } from '../storage/unmount.js';
import type { UndoStack } from './undo-stack.js';

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
