import { statfsSync } from 'node:fs';
import type { SourceRules } from '../source/source-place.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly volumeStats: (args: {
      readonly path: string;
      readonly rules: SourceRules;
    }) => readonly VolumeUsage[];
  }
}

/** Use of a file system, in the form of the Container Storage Interface. */
export interface VolumeUsage {
  readonly unit: 'bytes' | 'inodes';
  readonly total: bigint;
  readonly used: bigint;
  readonly available: bigint;
}

/** Returns the use of the file system at a path, in bytes and inodes. */
export function volumeStats(path: string): readonly VolumeUsage[] {
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true });
  return [
    // Blocks reserved for root are neither used nor available.
    { unit: 'bytes', total: blocks * bsize, used: (blocks - bfree) * bsize, available: bavail * bsize },
    { unit: 'inodes', total: files, used: files - ffree, available: ffree },
  ];
}
