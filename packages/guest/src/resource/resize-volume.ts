import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../error/guest-error.js';
import type { GuestPaths } from '../context/guest-paths.js';
import type { Tool, Tools } from '../tool/tools.js';

const sectorBytes = 512n;

/** The program that grows each type of file system while it is mounted. */
const growers: ReadonlyMap<
  string,
  { readonly tool: Tool; readonly args: (device: string, mountPoint: string) => string[] }
> = new Map([
  ['ext4', { tool: { program: 'resize2fs', package: 'e2fsprogs' }, args: (device) => [device] }],
  [
    'xfs',
    { tool: { program: 'xfs_growfs', package: 'xfsprogs' }, args: (_, mountPoint) => ['-d', mountPoint] },
  ],
]);

export interface ResizeContext {
  readonly paths: GuestPaths;
  readonly tools: Tools;
  readonly devices: DeviceWatch;
}

interface Volume {
  readonly grower: { readonly tool: Tool; readonly args: (device: string, mountPoint: string) => string[] };
  readonly source: string;
}

function volumeAt(path: string): Volume {
  const mounted = mounts().findLast(({ target }) => target === path);
  if (mounted === undefined) throw new GuestError('not-found', `nothing is mounted at ${path}`);
  const grower = growers.get(mounted.type);
  if (grower === undefined) {
    const known = [...growers.keys()].join(' and ');
    throw new GuestError(
      'precondition',
      `the file system at ${path} is ${mounted.type}; only ${known} can be resized`,
    );
  }
  return { grower, source: mounted.source };
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
  { paths, tools, devices }: ResizeContext,
): Promise<void> {
  const { grower, source } = volumeAt(path);
  devices.find(grownDisk(path, bytes, paths));
  const { status, stderr } = await tools.run(grower.tool, grower.args(source, path));
  if (status !== 0) throw new GuestError('internal', `${grower.tool.program} ${path}: ${stderr}`);
}

function diskBytes(device: string, sys: string): bigint {
  const sectors = readFileSync(join(sys, 'class/block', basename(device), 'size'), 'utf8').trim();
  return BigInt(sectors) * sectorBytes;
}
