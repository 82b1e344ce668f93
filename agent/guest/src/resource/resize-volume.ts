import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { HostMedia } from '../media/host-media.js';
import type { GrowingType } from './volume-calls.js';

const sectorBytes = 512n;

/** `Record`: the compiler asks for each type. */
const growing: Readonly<Record<GrowingType, true>> = { ext4: true, xfs: true };

export interface ResizeContext {
  readonly paths: GuestPaths;
  readonly media: HostMedia;
  readonly devices: DeviceWatch;
}

interface Volume {
  readonly type: GrowingType;
  readonly source: string;
  /** `major:minor`. */
  readonly device: string;
}

function isGrowing(type: string): type is GrowingType {
  return Object.hasOwn(growing, type);
}

function volumeAt(path: string): Volume {
  const mounted = mounts().findLast(({ target }) => target === path);
  if (mounted === undefined) throw new GuestError('not-found', `nothing is mounted at ${path}`);
  const { type, source, device } = mounted;
  if (isGrowing(type)) return { type, source, device };
  const known = Object.keys(growing).join(' and ');
  throw new GuestError('precondition', `the file system at ${path} is ${type}; only ${known} can be resized`);
}

/**
 * Describes a wait for the disk of a volume to have at least `bytes` bytes: the kernel may learn the new size after the host
 * has resized the disk and called.
 */
export function grownDisk(path: string, bytes: bigint, { sys }: Pick<GuestPaths, 'sys'>): Wanted {
  const { source } = volumeAt(path);
  return {
    what: `a disk of ${bytes} bytes for ${path}`,
    find: (roots) => (diskBytes(source, roots.sys) >= bytes ? source : undefined),
    absent: () => {
      const size = diskBytes(source, sys);
      const message = `the disk of ${path} has ${size} bytes, and ${bytes} were requested; help: resize the disk first`;
      return new GuestError('precondition', message);
    },
  };
}

/** Grows the file system of a volume to the size of its disk, which must have at least `bytes`. Never shrinks it. */
export async function resizeVolume(
  path: string,
  bytes: bigint,
  { paths, media, devices }: ResizeContext,
): Promise<void> {
  const { type, source, device } = volumeAt(path);
  devices.find(grownDisk(path, bytes, paths));
  const found = { path, kata: paths.kata, type, device, diskBytes: diskBytes(source, paths.sys) };
  await media.run('growFileSystem', found);
}

function diskBytes(device: string, sys: string): bigint {
  const sectors = readFileSync(join(sys, 'class/block', basename(device), 'size'), 'utf8').trim();
  return BigInt(sectors) * sectorBytes;
}
