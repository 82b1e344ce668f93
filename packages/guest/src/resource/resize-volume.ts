import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';
import type { Tool, Tools } from '../tool/tools.js';

const sectorBytes = 512n;

/** How each file system grows while it is mounted. */
const growers: ReadonlyMap<
  string,
  { readonly tool: Tool; readonly args: (device: string, place: string) => string[] }
> = new Map([
  ['ext4', { tool: { program: 'resize2fs', package: 'e2fsprogs' }, args: (device) => [device] }],
  ['xfs', { tool: { program: 'xfs_growfs', package: 'xfsprogs' }, args: (_, place) => ['-d', place] }],
]);

export interface ResizeContext {
  readonly paths: GuestPaths;
  readonly tools: Tools;
  readonly devices: DeviceWatch;
}

interface Volume {
  readonly grower: { readonly tool: Tool; readonly args: (device: string, place: string) => string[] };
  readonly source: string;
}

function volumeAt(path: string): Volume {
  const mounted = mounts().findLast(({ target }) => target === path);
  if (mounted === undefined) throw new GuestError('not-found', `nothing is mounted at ${path}`);
  const grower = growers.get(mounted.type);
  if (grower === undefined) {
    const known = [...growers.keys()].join(' and ');
    throw new GuestError('precondition', `${mounted.type} at ${path} cannot be resized; ${known} can`);
  }
  return { grower, source: mounted.source };
}

/**
 * The disk of a volume once it is so large, as a device that may come: the kernel hears of its new size after the host has
 * made it larger, and perhaps after us.
 */
export function grownDisk(path: string, bytes: bigint, { sys }: Pick<GuestPaths, 'sys'>): Wanted {
  const { source } = volumeAt(path);
  return {
    what: `a disk of ${bytes} bytes for ${path}`,
    find: (roots) => (diskBytes(source, roots.sys) >= bytes ? source : undefined),
    absent: () => {
      const size = diskBytes(source, sys);
      const message = `${path} shall have ${bytes} bytes, and its disk has ${size}: resize the disk first`;
      return new GuestError('precondition', message);
    },
  };
}

/**
 * Lets the file system of a volume grow into its disk, which the host has made larger before: it has `bytes` at least.
 * Never makes it smaller.
 */
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
