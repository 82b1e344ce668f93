import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { DeviceWatch } from '../device/device-watch.js';
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

/**
 * Lets the file system of a volume grow into its disk, which the host has made larger before. Never makes it smaller.
 * `bytes`: how large the disk has to be at least; the kernel may hear of its new size after us, and is given the time.
 */
export async function resizeVolume(
  path: string,
  bytes: bigint,
  { paths, tools, devices }: ResizeContext,
): Promise<void> {
  const mounted = mounts().findLast(({ target }) => target === path);
  if (mounted === undefined) throw new GuestError('not-found', `nothing is mounted at ${path}`);
  const grower = growers.get(mounted.type);
  if (grower === undefined) {
    const known = [...growers.keys()].join(' and ');
    throw new GuestError('precondition', `${mounted.type} at ${path} cannot be resized; ${known} can`);
  }
  const { source } = mounted;
  try {
    await devices.waitFor(`a disk of ${bytes} bytes for ${path}`, ({ sys }) =>
      diskBytes(source, sys) >= bytes ? source : undefined,
    );
  } catch (error) {
    if (!(error instanceof GuestError && error.kind === 'not-found')) throw error;
    const size = diskBytes(source, paths.sys);
    const message = `${path} shall have ${bytes} bytes, and its disk has ${size}: resize the disk first`;
    throw new GuestError('precondition', message, { cause: error });
  }
  const { status, stderr } = await tools.run(grower.tool, grower.args(mounted.source, path));
  if (status !== 0) throw new GuestError('internal', `${grower.tool.program} ${path}: ${stderr}`);
}

function diskBytes(device: string, sys: string): bigint {
  const sectors = readFileSync(join(sys, 'class/block', basename(device), 'size'), 'utf8').trim();
  return BigInt(sectors) * sectorBytes;
}
