import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { KernelFiles } from './kernel-files.js';

/**
 * Register files that hash what is written to them, and report directories that `answer` fills when `inblob` is
 * written.
 */
export class FakeKernel implements KernelFiles {
  readonly files: Map<string, Uint8Array> = new Map();
  readonly directories: Set<string> = new Set();
  answer: (nonce: Uint8Array) => Readonly<Record<string, Uint8Array | string>> = () => ({});
  provider: string | undefined;

  read(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw this.#error('ENOENT', path);
    return bytes;
  }

  async readLater(path: string): Promise<Uint8Array> {
    return this.read(path);
  }

  write(path: string, bytes: Uint8Array): void {
    const old = this.files.get(path);
    if (path.endsWith('/inblob')) this.#fill(dirname(path), this.answer(bytes));
    else if (old === undefined) throw this.#error('ENOENT', path);
    else this.files.set(path, createHash('sha384').update(old).update(bytes).digest());
  }

  makeDirectory(path: string): void {
    if (this.provider === undefined) throw this.#error('ENOENT', path);
    this.directories.add(path);
    this.#fill(path, { provider: this.provider });
  }

  removeDirectory(path: string): void {
    this.directories.delete(path);
  }

  #fill(directory: string, entries: Readonly<Record<string, Uint8Array | string>>): void {
    for (const [name, value] of Object.entries(entries)) {
      this.files.set(`${directory}/${name}`, typeof value === 'string' ? Buffer.from(value) : value);
    }
  }

  #error(code: string, path: string): Error {
    return Object.assign(new Error(`${code}: ${path}`), { code });
  }
}
