import { existsSync } from 'node:fs';
import { Directory, type Syscalls } from '@kata-agent/linux';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Removes a tree; ETIMEDOUT if that takes longer. */
    readonly removeAt: (args: RemovalPlace) => void;
    readonly renameAt: (args: {
      readonly top: string;
      readonly place: string;
      readonly name: string;
    }) => void;
  }
}

/** A tree to remove, below a directory that need not exist. */
export interface RemovalPlace {
  /** The directory, whose path is trusted. */
  readonly top: string;
  readonly place: string;
  /** It ends with ETIMEDOUT afterwards; absent: after a minute. */
  readonly milliseconds?: number | undefined;
}

/** Removes a tree; no link in its path is followed. */
export async function removeAt(
  { top, place, milliseconds }: RemovalPlace,
  syscalls: Syscalls,
  signal: AbortSignal | undefined = signalAfter(milliseconds),
): Promise<void> {
  if (!existsSync(top)) return;
  const base = Directory.open(syscalls, top);
  try {
    await base.removeTree(place, { signal });
  } finally {
    base.close();
  }
}

/** Renames the last component of a path below a directory. */
export function renameAt(top: string, place: string, name: string, syscalls: Syscalls): void {
  if (!existsSync(top)) return;
  const base = Directory.open(syscalls, top);
  try {
    base.rename(place, place.replace(/[^/]*$/, name));
  } finally {
    base.close();
  }
}

function signalAfter(milliseconds: number | undefined): AbortSignal | undefined {
  return milliseconds === undefined ? undefined : AbortSignal.timeout(milliseconds);
}
