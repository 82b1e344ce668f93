import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A block device of the real kernel, made of a file. */
export class LoopDevice {
  readonly path: string;
  readonly file: string;
  readonly #folder: string;

  constructor(bytes: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'kata-loop-'));
    this.file = join(this.#folder, 'disk');
    writeFileSync(this.file, '');
    truncateSync(this.file, bytes);
    this.path = execFileSync('losetup', ['--find', '--show', this.file], { encoding: 'utf8' }).trim();
  }

  /** Runs a program on it, its path last: `mkfs.ext4 -q`. */
  with(program: string, ...args: readonly string[]): void {
    execFileSync(program, [...args, this.path], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Runs a program that writes an image to the file that the device is of. */
  image(program: string, ...args: readonly string[]): void {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    execFileSync('losetup', ['--set-capacity', this.path]);
  }

  /** As when the host resizes a disk. */
  grow(bytes: number): void {
    truncateSync(this.file, bytes);
    execFileSync('losetup', ['--set-capacity', this.path]);
  }

  remove(): void {
    execFileSync('losetup', ['--detach', this.path]);
    rmSync(this.#folder, { recursive: true });
  }
}
