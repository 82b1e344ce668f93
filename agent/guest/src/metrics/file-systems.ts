import { readFileSync, statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hasCode, unescapeMountWord } from '@kata-agent/linux';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Returns the use of each file system that can run full. */
    readonly fileSystems: (args: { readonly proc: string }) => readonly FileSystem[];
  }
}

/** Types of the file systems that are reported: those that can run full. */
const realTypes: ReadonlySet<string> = new Set(['ext4', 'xfs', 'btrfs', 'vfat', 'overlay']);

/** The use of a file system, from statfs(2). */
export interface FileSystem {
  readonly mount: string;
  readonly device: string;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly files: number;
  readonly ffree: number;
}

/** Returns each device once, at its first mount. Skips read-only mounts, which cannot run full. */
export function fileSystems(proc: string): readonly FileSystem[] {
  const seen = new Set<string>();
  return readFileSync(join(proc, 'self/mountinfo'), 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [, , number = '', , mount = ''] = left.split(' ');
      const [type = '', source = '', options = ''] = right.split(' ');
      if (!realTypes.has(type) || options.split(',').includes('ro') || seen.has(number)) return [];
      seen.add(number);
      const path = unescapeMountWord(mount);
      try {
        const { bsize, blocks, bfree, files, ffree } = statfsSync(path);
        return [{ mount: path, device: basename(source) || number, bsize, blocks, bfree, files, ffree }];
      } catch (error) {
        // It was unmounted meanwhile, or another mount hides it.
        if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
        throw error;
      }
    });
}
