import { closeSync, fstatSync, openSync, statfsSync } from 'node:fs';
import { Open, type Syscalls } from '@kata-agent/linux';
import { deviceNumber } from '../device/device-number.js';
import { GuestError } from '../error/guest-error.js';
import { atVolume } from './volume-place.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly growFileSystem: (args: GrowingFileSystem) => void;
  }
}

/** File systems that the kernel grows while they are mounted. */
export type GrowingType = 'ext4' | 'xfs';

/** A mounted file system. */
export interface GrowingFileSystem {
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
