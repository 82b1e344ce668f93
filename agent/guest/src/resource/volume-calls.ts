import { closeSync, fstatSync, openSync, statfsSync } from 'node:fs';
import { Directory, hasCode, Open, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { deviceNumber } from '../device/device-number.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { openSource } from '../source/open-source.js';
import type { SourceRules } from '../source/source-place.js';
import { quotedPath } from '../quoted.js';

const grow: Readonly<Record<GrowingType, (fd: number, diskBytes: bigint, syscalls: Syscalls) => void>> = {
  ext4(fd, diskBytes, syscalls) {
    const { bsize } = statfsSync(`/proc/self/fd/${fd}`);
    // The kernel refuses to shrink it.
    syscalls.growExt4(fd, diskBytes / BigInt(bsize));
  },
  xfs(fd, diskBytes, syscalls) {
    const { blockSize, blocks, inodePercent } = syscalls.xfsGeometry(fd);
    const wanted = diskBytes / BigInt(blockSize);
    if (wanted > blocks) syscalls.growXfs(fd, wanted, inodePercent);
  },
};

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Throws if the path is no directory below Kata's. */
    readonly findVolume: (args: { readonly path: string; readonly kata: string }) => void;
  }
}

/** Runs a function with the directory of a volume, held open. Volumes are mounted below Kata's directory (S9). */
export function atVolume<T>(
  path: string,
  { syscalls, paths }: { readonly syscalls: Syscalls; readonly paths: Pick<GuestPaths, 'kata'> },
  use: (heldPath: string) => T,
): T {
  const named = `volume ${quotedPath(path)}`;
  if (!path.startsWith(`${paths.kata}/`))
    throw new GuestError('refused', `${named} is not below ${paths.kata}`);
  const base = Directory.open(syscalls, paths.kata);
  try {
    const volume = base.directory(path.slice(paths.kata.length + 1));
    try {
      return use(volume.path);
    } finally {
      volume.close();
    }
  } catch (error) {
    if (error instanceof UnsafePathError || !hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new GuestError('not-found', `${named} does not exist`, { cause: error });
  } finally {
    base.close();
  }
}

/**
 * Runs a function with the path of a volume, held open: in Kata's directory, or where a container of this configuration
 * may have a mount source.
 */
export function atMountedVolume<T>(
  path: string,
  context: SourceRules & { readonly syscalls: Syscalls },
  use: (heldPath: string) => T,
): T {
  if (path.startsWith(`${context.paths.kata}/`)) return atVolume(path, context, use);
  const { descriptor } = openSource(
    { path, named: 'volume', container: undefined },
    context,
    context.syscalls,
  );
  try {
    return use(`/proc/self/fd/${descriptor.fd}`);
  } finally {
    descriptor.close();
  }
}

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

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly growFileSystem: (args: GrowingFileSystem) => void;
  }
}

/** File systems that the kernel grows while they are mounted. */
export type GrowingType = 'ext4' | 'xfs';

/** A mounted file system. */
interface GrowingFileSystem {
  /** Its mount point, below Kata's directory. */
  readonly path: string;
  readonly kata: string;
  readonly type: GrowingType;
  /** `major:minor` of its disk. */
  readonly device: string;
  readonly diskBytes: bigint;
}

/**
 * Grows a mounted file system to the size of its disk, by the kernel, which has it mounted: no program reads the disk, whose
 * content the host may change meanwhile.
 */
export function growFileSystem(
  { path, kata, type, device, diskBytes }: GrowingFileSystem,
  syscalls: Syscalls,
): void {
  atVolume(path, { syscalls, paths: { kata } }, (volume) => {
    const fd = openSync(volume, Open.ReadOnly | Open.Directory);
    try {
      const { major, minor } = deviceNumber(fstatSync(fd, { bigint: true }).dev);
      if (`${major}:${minor}` !== device)
        throw new GuestError('precondition', `what is mounted at ${path} has changed; help: repeat the call`);
      grow[type](fd, diskBytes, syscalls);
    } finally {
      closeSync(fd);
    }
  });
}
