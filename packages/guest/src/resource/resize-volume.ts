import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
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

/**
 * Lets the file system of a volume grow into its disk, which the host has made larger before. Never makes it smaller.
 * `bytes`: how large the disk has to be at least.
 */
export async function resizeVolume(
  path: string,
  bytes: bigint,
  { paths, tools }: { readonly paths: GuestPaths; readonly tools: Tools },
): Promise<void> {
  const mounted = mounts().findLast(({ target }) => target === path);
  if (mounted === undefined) throw new GuestError('not-found', `nothing is mounted at ${path}`);
  const grower = growers.get(mounted.type);
  if (grower === undefined) {
    const known = [...growers.keys()].join(' and ');
    throw new GuestError('precondition', `${mounted.type} at ${path} cannot be resized; ${known} can`);
  }
  const size = diskBytes(mounted.source, paths.sys);
  if (bytes > size) {
    throw new GuestError(
      'precondition',
      `${path} shall have ${bytes} bytes, and its disk has ${size}: resize the disk first`,
    );
  }
  const { status, stderr } = await tools.run(grower.tool, grower.args(mounted.source, path));
  if (status !== 0) throw new GuestError('internal', `${grower.tool.program} ${path}: ${stderr}`);
}

function diskBytes(device: string, sys: string): bigint {
  const sectors = readFileSync(join(sys, 'class/block', basename(device), 'size'), 'utf8').trim();
  return BigInt(sectors) * sectorBytes;
}
