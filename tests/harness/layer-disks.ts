import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const sector = 512;
/** As Kata's runtime: partitions are aligned to 1 MiB, and the first one begins there. */
const alignment = 2048;

/** Writes an EROFS image with the content of a directory and returns its path. */
export function layerImage(directory: string, name: string, content: string): string {
  const image = join(directory, `${name}.erofs`);
  run('mkfs.erofs', '--quiet', '-Enoinline_data', image, content);
  return image;
}

/** Makes the content of a layer: a directory with the given files. */
export function layerContent(directory: string, files: Readonly<Record<string, string>>): string {
  const content = mkdtempSync(join(directory, 'content-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(content, path, '..'), { recursive: true });
    writeFileSync(join(content, path), text);
  }
  return content;
}

/** Makes overlayfs's mark that the layers below do not show this path. */
export function hidePath(content: string, path: string): void {
  mkdirSync(join(content, path, '..'), { recursive: true });
  run('mknod', join(content, path), 'c', '0', '0');
}

/** Writes a disk whose GPT partitions are these images, as Kata's runtime combines them, and returns its path. */
export function partitionedDisk(directory: string, name: string, images: readonly string[]): string {
  const disk = join(directory, `${name}.img`);
  const data = images.map((image) => readFileSync(image));
  let next = alignment;
  const starts = data.map(({ length }) => {
    const start = next;
    next += Math.ceil(length / sector / alignment) * alignment;
    return start;
  });
  writeFileSync(disk, '');
  truncateSync(disk, (next + alignment) * sector);
  const lines = data.map(({ length }, index) => `start=${starts[index]}, size=${Math.ceil(length / sector)}`);
  execFileSync('sfdisk', ['--quiet', disk], {
    input: `label: gpt\n${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const fd = openSync(disk, 'r+');
  try {
    for (const [index, bytes] of data.entries())
      writeSync(fd, bytes, 0, bytes.length, (starts[index] ?? 0) * sector);
    // Kata's runtime writes no backup of the partition table.
    writeSync(fd, Buffer.alloc(sector), 0, sector, (next + alignment - 1) * sector);
  } finally {
    closeSync(fd);
  }
  return disk;
}

/** Writes an empty disk of 32 MiB with ext4 and returns its path. */
export function writableDisk(directory: string, name: string): string {
  const disk = join(directory, `${name}.ext4`);
  writeFileSync(disk, '');
  truncateSync(disk, 32 << 20);
  run('mkfs.ext4', '-q', '-F', disk);
  return disk;
}

/** Attaches a file to a loop device whose partitions the kernel may show, and returns the device. */
export function attachDisk(file: string): string {
  return execFileSync('losetup', ['--find', '--show', '--partscan', file], { encoding: 'utf8' }).trim();
}

/** Makes the kernel show the partitions of a disk; it may not know GPT itself. */
export function showPartitions(device: string): void {
  run('partx', '--update', device);
}

export function hidePartitions(device: string): void {
  run('partx', '--delete', device);
}

export function detachDisk(device: string): void {
  execFileSync('losetup', ['--detach', device]);
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A layer under dm-verity: its image with the hash tree, and its values. */
export interface VerityImage {
  readonly file: string;
  readonly rootHash: string;
  readonly salt: string;
  readonly dataBlocks: number;
}

/** Appends a hash tree to the image of a layer, with a superblock. */
export function withHashTree(file: string, salt = '00ff'): VerityImage {
  const { size } = statSync(file);
  const printed = execFileSync(
    'veritysetup',
    ['format', `--hash-offset=${size}`, `--salt=${salt}`, file, file],
    { encoding: 'utf8' },
  );
  const rootHash = /^Root hash:\s+([0-9a-f]+)$/m.exec(printed)?.[1] ?? '';
  return { file, rootHash, salt, dataBlocks: size / 4096 };
}

/** Returns the options by which a request names these values. */
export function verityOptions({ rootHash, salt, dataBlocks }: VerityImage): readonly string[] {
  return [
    'X-kata.dmverity-enabled=true',
    `X-kata.dmverity.roothash=${rootHash}`,
    `X-kata.dmverity.hashoffset=${dataBlocks * 4096}`,
    'X-kata.dmverity.no-superblock=false',
    `X-kata.dmverity.salt=${salt}`,
  ];
}

/**
 * Returns how to start an agent with the device mapper of this kernel, or with a stand-in for it. The agent gets a /dev of its
 * own, with the disks that exist now.
 */
export function verityStandIn(
  tables: string,
  swap?: readonly [node: string, other: string],
): { readonly setup: string; readonly env: Readonly<Record<string, string>> } {
  const preload = new URL('verity-stand-in.js', import.meta.url).href;
  return {
    setup:
      'own=$(mktemp -d) && mount -t tmpfs -o mode=755 kata-dev $own && ' +
      'for n in /dev/*; do if [ -b $n ] || [ -c $n ]; then cp -a $n $own/ || exit 1; fi; done && ' +
      'mkdir $own/mapper $own/pts && mknod $own/mapper/control c 1 3 && mount --rbind /dev/pts $own/pts && ' +
      'ln -s /proc/self/fd $own/fd && mount --rbind $own /dev && umount -l $own && rmdir $own',
    env: {
      NODE_OPTIONS: `--import ${preload}`,
      VERITY_TABLES: tables,
      ...(swap === undefined ? {} : { VERITY_SWAP: swap.join('=') }),
    },
  };
}
