import { statSync } from 'node:fs';
import { Directory, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Opens the directories of an overlay. */
    readonly openLayers: (args: MountedLayers) => OpenedLayers;
  }
}

/** A directory to create in the writable layer, or one that the topmost read-only layer must have. */
export interface LayerDirectory {
  readonly in: 'upper' | 'lower';
  /** Relative, without `.` and `..`. */
  readonly path: string;
}

/** The layers of a root, mounted: their contents may be on disks of the host. */
export interface MountedLayers {
  /** Path of the directory that contains `upper` and `work`, or is to contain them. */
  readonly writable: string;
  /** Paths, topmost first. */
  readonly lowers: readonly string[];
  readonly directories: readonly LayerDirectory[];
  /** The upper directory gets owner and permissions of the topmost read-only layer: an overlay has those of its upper directory. */
  readonly asTop: boolean;
}

/** Descriptors of the directories of an overlay: the receiver owns them. */
export interface OpenedLayers {
  /** Topmost first. */
  readonly lowers: readonly number[];
  readonly upper: number;
  readonly work: number;
}

/** Opens the directories of an overlay, and creates those that are missing in its writable layer. */
export function openLayers(
  { writable, lowers, directories, asTop }: MountedLayers,
  syscalls: Syscalls,
): OpenedLayers {
  const opened: Directory[] = [];
  const kept = (directory: Directory): Directory => {
    opened.push(directory);
    return directory;
  };
  try {
    const below = lowers.map((path) => kept(Directory.open(syscalls, path)));
    const [top] = below;
    const above = kept(Directory.open(syscalls, writable));
    for (const each of directories) makeLayerDirectory(each, above, top);
    const make = (name: string): Directory => kept(above.makeDirectory(name, { mode: 0o755 }));
    const [upper, work] = [make('upper'), make('work')];
    if (asTop && top !== undefined) copyAttributes(top, upper);
    return { lowers: below.map((each) => each.take()), upper: upper.take(), work: work.take() };
  } finally {
    for (const each of opened) each.close();
  }
}

/** A read-only layer cannot get a directory: it must have it. */
function makeLayerDirectory(
  { in: layer, path }: LayerDirectory,
  upper: Directory,
  top: Directory | undefined,
): void {
  if (layer === 'upper') {
    upper.makeDirectory(path, { mode: 0o755 }).close();
    return;
  }
  if (top?.stat(path)?.isDirectory() !== true)
    throw new GuestError(
      'invalid',
      `layers of a root: the topmost read-only layer has no directory ${quotedPath(path)}`,
    );
}

function copyAttributes(from: Directory, to: Directory): void {
  const { mode, uid, gid } = statSync(from.path);
  // Owner first: chown(2) may clear mode bits.
  to.changeOwnerOfSelf(uid, gid);
  to.changeMode(mode & 0o7777);
}
