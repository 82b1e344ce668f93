import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A loop device of the real kernel, on a file of its own. */
export class LoopDevice {
  readonly path: string;
  readonly file: string;
  readonly #directory: string;

  constructor(bytes: number) {
    this.#directory = mkdtempSync(join(tmpdir(), 'kata-loop-'));
    this.file = join(this.#directory, 'disk');
    writeFileSync(this.file, '');
    truncateSync(this.file, bytes);
    this.path = execFileSync('losetup', ['--find', '--show', this.file], { encoding: 'utf8' }).trim();
  }

  /** Runs a program such as `mkfs.ext4 -q` with the path of the device as its last argument. */
  with(program: string, ...args: readonly string[]): void {
    execFileSync(program, [...args, this.path], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Runs a program that writes an image to `file`. */
  image(program: string, ...args: readonly string[]): void {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    execFileSync('losetup', ['--set-capacity', this.path]);
  }

  /** Resizes the disk as a host does. */
  grow(bytes: number): void {
    truncateSync(this.file, bytes);
    execFileSync('losetup', ['--set-capacity', this.path]);
  }

  remove(): void {
    execFileSync('losetup', ['--detach', this.path]);
    rmSync(this.#directory, { recursive: true });
  }
}
