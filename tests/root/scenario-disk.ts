import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A block device of the real kernel over a file. Its user detaches it. */
function loopDevice(file: string): string {
  return execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
}

export function detach(device: string): void {
  execFileSync('losetup', ['--detach', device]);
}

/** A disk of 64 MiB with an ext4. */
export function plainDisk(folder: string): string {
  return loopDevice(formatted(folder, 'ext4.img', 64 << 20, ['mkfs.ext4', '-q', '-F']));
}

/** A disk of 640 MiB whose xfs fills half of it, as when the host has resized the disk. */
export function grownDisk(folder: string): string {
  return loopDevice(formatted(folder, 'xfs.img', 640 << 20, ['mkfs.xfs', '-q', '-d', 'size=320m']));
}

function formatted(folder: string, name: string, bytes: number, command: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, bytes);
  run([...command, file]);
  return file;
}

function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A disk with an erofs that holds one file. */
export function imageDisk(folder: string): string {
  const file = join(folder, 'erofs.img');
  const content = join(folder, 'erofs');
  mkdirSync(content);
  writeFileSync(join(content, 'greeting'), 'from the image\n');
  run(['mkfs.erofs', file, content]);
  return loopDevice(file);
}
