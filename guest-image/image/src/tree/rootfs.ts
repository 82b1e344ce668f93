// Builds a disk with the guest's file system, protected by dm-verity, and a small initramfs with its root hash.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { architecture } from '@kata-agent/setup/architecture';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { cached } from '../packages/packages.js';
import { wrapperProgram } from '../program/wrapper.js';
import type { Entry } from './archive.js';

/** A disk with dm-verity. */
export interface RootDisk {
  readonly disk: Buffer;
  /** The root hash in hexadecimal. */
  readonly hash: string;
  /** The device-mapper table that opens the disk as /dev/vda. */
  readonly table: string;
}

const blockSize = 4096;
const sectorSize = 512;

/** The path in the initramfs of the script that opens the disk. */
const initScript = '/rootfs-init.sh';

/** The UUID of every file system, so that the same tree gives the same bytes. */
const fixedUuid = '6b617461-2d61-4765-8e74-726f6f746673';

/** The highest level of lz4hc. */
const maxLevel = 12;

/** Builds a disk with this tree. `content`: the digest of the tree. `level`: that of the image's compression. */
export function rootfsDisk(tree: readonly Entry[], content: string, cache: string, level: number): RootDisk {
  const compression = `lz4hc,level=${Math.min(level, maxLevel)}`;
  const disk = cached(join(cache, 'rootfs'), [content, `erofs ${compression}, verity`], '.erofs', () => {
    // A new directory: files that a killed build left would get into the disk.
    const work = mkdtempSync(join(cache, 'rootfs-'));
    try {
      writeTree(tree, join(work, 'tree'));
      const image = join(work, 'image');
      // Without extended attributes, because SELinux labels would be those of this machine.
      const fixed = ['-T0', '-U', fixedUuid, '--all-root', '-x-1', '--quiet'];
      run('mkfs.erofs', [`-z${compression}`, '-C65536', ...fixed, image, join(work, 'tree')]);
      const size = statSync(image).size;
      if (size % blockSize !== 0)
        throw new Error(`the file system has ${size} bytes, not a multiple of ${blockSize}`);
      const salt = saltOf(content);
      const format = ['format', '--no-superblock', '--salt', salt, '--hash-offset', String(size)];
      const output = run('veritysetup', [...format, image, image]);
      const hash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(output)?.[1];
      if (hash === undefined) throw new Error(`veritysetup printed no root hash: ${output}`);
      // The last block has the size of the file system and the root hash, for later builds that use the cached
      // disk.
      const last = Buffer.alloc(blockSize);
      last.write(JSON.stringify({ size, hash }));
      return Buffer.concat([readFileSync(image), last]);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  const { size, hash }: { readonly size: number; readonly hash: string } = JSON.parse(
    disk.subarray(-blockSize).toString().replace(/\0+$/, ''),
  );
  const blocks = size / blockSize;
  const words = [1, '/dev/vda', '/dev/vda', blockSize, blockSize, blocks, blocks, 'sha256', hash];
  // Reading a changed block causes a panic, instead of an error that a program could ignore.
  const table = `0 ${size / sectorSize} verity ${words.join(' ')} ${saltOf(content)} 1 panic_on_corruption`;
  return { disk, hash, table };
}

/** Returns a salt that differs between images. It is not secret: the table contains it. */
function saltOf(content: string): string {
  return createHash('sha256').update(`salt ${content}`).digest('hex');
}

/**
 * Returns the entries of the initramfs: those of the guest that are needed to open the disk, dmsetup, and the
 * script.
 */
export function rootfsInitramfs(
  tree: readonly Entry[],
  table: string,
  dmsetup: readonly Entry[],
): readonly Entry[] {
  const wanted =
    /^\/(usr\/bin\/busybox|usr\/sbin\/modprobe|usr\/lib\/modules\/.*|bin|sbin|lib|lib64|proc|sys|dev.*|root)$/;
  return [
    ...tree.filter(({ path }) => wanted.test(path) || path === architecture.loader.path),
    ...dmsetup,
    { path: '/init', data: wrapperProgram(['/bin/busybox', 'sh', initScript]), mode: 0o755 },
    { path: initScript, data: readFileSync(join(root, 'image', 'rootfs-init.sh')), mode: 0o644 },
    { path: '/etc/verity-table', data: Buffer.from(table), mode: 0o644 },
  ];
}

/**
 * Writes the entries, except devices, to a directory. Modes do not depend on the umask, or on the setgid bit of
 * the parent directory.
 */
export function writeTree(tree: readonly Entry[], target: string): void {
  const directories = new Set<string>();
  const createDirectory = (path: string): void => {
    for (let at = path; at !== dirname(target); at = dirname(at)) directories.add(at);
    mkdirSync(path, { recursive: true });
  };
  for (const { path, directory } of tree) if (directory) createDirectory(join(target, path));
  for (const entry of tree) {
    // A disk needs no device nodes, because devtmpfs is mounted on /dev.
    if (entry.directory || entry.device !== undefined) continue;
    const file = join(target, entry.path);
    createDirectory(dirname(file));
    if (entry.link === undefined) {
      writeFileSync(file, entry.data);
      chmodSync(file, entry.mode);
    } else symlinkSync(entry.link, file);
  }
  for (const path of directories) chmodSync(path, 0o755);
}
