// The guest as a file system on a disk, protected by dm-verity, and a small initramfs that knows its root hash.
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
import { architecture } from '../image/architecture.mjs';
import { root } from './bootstrap.mjs';
import { cached, run } from './image-packages.mjs';
import { wrapperProgram } from './image-wrapper.mjs';

const blockSize = 4096;
const sectorSize = 512;

/** What opens the disk, in the small initramfs. */
const initScript = '/rootfs-init.sh';

/** All that is random in such a disk, taken from what is in it: the same tree gives the same bytes. */
const fixedUuid = '6b617461-2d61-4765-8e74-726f6f746673';

/** Makes the disk; answers its bytes, the root hash, and the line that opens it. */
export function rootfsDisk(tree, content, cache) {
  const disk = cached(join(cache, 'rootfs'), [content, 'erofs lz4hc, verity'], '.erofs', () => {
    // A name that no build had before: what one that was killed left in it would be in the disk.
    const work = mkdtempSync(join(cache, 'rootfs-'));
    try {
      writeTree(tree, join(work, 'tree'));
      const image = join(work, 'image');
      // Without extended attributes: labels of SELinux are the builder's machine's.
      const fixed = ['-T0', '-U', fixedUuid, '--all-root', '-x-1', '--quiet'];
      run('mkfs.erofs', ['-zlz4hc,level=12', '-C65536', ...fixed, image, join(work, 'tree')]);
      const size = statSync(image).size;
      if (size % blockSize !== 0)
        throw new Error(`the file system has ${size} bytes, which are no whole blocks`);
      const { salt } = parameters(content);
      const format = ['format', '--no-superblock', '--salt', salt, '--hash-offset', String(size)];
      const said = run('veritysetup', [...format, image, image]);
      const hash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(said)?.[1];
      if (hash === undefined) throw new Error(`veritysetup told no root hash: ${said}`);
      // The last block tells what belongs to it: the file system's size and the root hash.
      const last = Buffer.alloc(blockSize);
      last.write(JSON.stringify({ size, hash }));
      return Buffer.concat([readFileSync(image), last]);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  const { size, hash } = JSON.parse(disk.subarray(-blockSize).toString().replace(/\0+$/, ''));
  const blocks = size / blockSize;
  const words = [1, '/dev/vda', '/dev/vda', blockSize, blockSize, blocks, blocks, 'sha256', hash];
  // A read of a block that was changed ends the machine, and is no error that a program could live with.
  const table = `0 ${size / sectorSize} verity ${words.join(' ')} ${parameters(content).salt} 1 panic_on_corruption`;
  return { disk, hash, table };
}

/** A salt makes no secret here: it is in the table. It only must not be the same for every image. */
function parameters(content) {
  return { salt: createHash('sha256').update(`salt ${content}`).digest('hex') };
}

/** The small initramfs: of the guest's own entries those that open the disk. */
export function rootfsInitramfs(tree, table, dmsetup) {
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
 * The entries as files in a folder, with their own modes, whatever the builder's umask, or a group that folders inherit, would
 * make of them.
 */
export function writeTree(tree, folder) {
  const folders = new Set();
  const makeFolder = (path) => {
    for (let at = path; at !== dirname(folder); at = dirname(at)) folders.add(at);
    mkdirSync(path, { recursive: true });
  };
  for (const { path, directory } of tree) if (directory) makeFolder(join(folder, path));
  for (const { path, directory, device, link, data, mode } of tree) {
    // Devices are made by the kernel itself, in /dev, when there is one.
    if (directory || device !== undefined) continue;
    const target = join(folder, path);
    makeFolder(dirname(target));
    if (link === undefined) {
      writeFileSync(target, data);
      chmodSync(target, mode);
    } else symlinkSync(link, target);
  }
  for (const path of folders) chmodSync(path, 0o755);
}
