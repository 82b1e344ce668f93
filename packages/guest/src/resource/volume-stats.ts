import { statfsSync } from 'node:fs';

/** Use of a file system, after the Container Storage Interface. */
export interface VolumeUsage {
  readonly unit: 'bytes' | 'inodes';
  readonly total: bigint;
  readonly used: bigint;
  readonly available: bigint;
}

/** Bytes and inodes of the file system that lies at a path. */
export function volumeStats(path: string): readonly VolumeUsage[] {
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true });
  return [
    // What is reserved for root is neither used nor available.
    { unit: 'bytes', total: blocks * bsize, used: (blocks - bfree) * bsize, available: bavail * bsize },
    { unit: 'inodes', total: files, used: files - ffree, available: ffree },
  ];
}
