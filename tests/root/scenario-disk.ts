import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Attaches a file to a loop device and returns the device, which the caller detaches. */
function attachLoop(file: string): string {
  return execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
}

export function detach(device: string): void {
  execFileSync('losetup', ['--detach', device]);
}

/** Returns a disk of 64 MiB with an ext4. */
export function plainDisk(directory: string): string {
  return attachLoop(formatFile(directory, 'ext4.img', 64 << 20, ['mkfs.ext4', '-q', '-F']));
}

/** Returns a disk of 640 MiB with an xfs of half its size, as after the host has resized the disk. */
export function grownDisk(directory: string): string {
  return attachLoop(formatFile(directory, 'xfs.img', 640 << 20, ['mkfs.xfs', '-q', '-d', 'size=320m']));
}

function formatFile(directory: string, name: string, bytes: number, command: readonly string[]): string {
  const file = join(directory, name);
  writeFileSync(file, '');
  truncateSync(file, bytes);
  run([...command, file]);
  return file;
}

function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Returns a disk with an erofs that has one file. */
export function imageDisk(directory: string): string {
  const file = join(directory, 'erofs.img');
  const content = join(directory, 'erofs');
  mkdirSync(content);
  writeFileSync(join(content, 'greeting'), 'from the image\n');
  run(['mkfs.erofs', file, content]);
  return attachLoop(file);
}
