import { readdirSync, readSync, type Stats } from 'node:fs';
import { type Directory, hasCode, Open, UnsafePathError } from '@kata-agent/linux';

/** MAXSYMLINKS of the kernel. */
const maxLinks = 40;
const maxNames = 1000;

/** A path in the root of an image, resolved as a process with that root would. */
export interface ResolvedPath {
  /** Absolute and without links; it need not exist. */
  readonly path: string;
  /** Each symbolic link on the way, and each directory that `..` leaves: with another one there, the way leads elsewhere. */
  readonly passed: readonly string[];
}

/**
 * Files of an image's root, below its directory: links are resolved here, within the root, and what they lead to is opened
 * without following any.
 */
export class ImageFiles {
  readonly #root: Directory;

  constructor(root: Directory) {
    this.#root = root;
  }

  /** Resolves an absolute path. Undefined: too many links. */
  resolve(path: string): ResolvedPath | undefined {
    const rest = namesOf(path);
    const passed: string[] = [];
    let links = 0;
    let done: string[] = [];
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '..') {
        if (done.length > 0) passed.push(`/${done.join('/')}`);
        done.pop();
        continue;
      }
      done.push(name);
      const target = this.#link(done.join('/'));
      if (target === undefined) continue;
      passed.push(`/${done.join('/')}`);
      links += 1;
      if (links > maxLinks) return undefined;
      done = target.startsWith('/') ? [] : done.slice(0, -1);
      rest.unshift(...namesOf(target));
    }
    return { path: `/${done.join('/')}`, passed };
  }

  /** Returns the status of a resolved path; undefined: it does not exist. */
  stat(path: string): Stats | undefined {
    if (path === '/') return undefined;
    try {
      return this.#root.stat(path.slice(1));
    } catch (error) {
      if (hasCode(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  /** Calls a function with a reader of the regular file at a resolved path; undefined: there is none. */
  open<T>(path: string, use: (read: FileReader) => T): T | undefined {
    if (this.stat(path)?.isFile() !== true) return undefined;
    const file = this.#root.file(path.slice(1), Open.ReadOnly);
    try {
      return use((offset, length) => {
        const bytes = Buffer.alloc(length);
        return bytes.subarray(0, readSync(file.fd, bytes, 0, length, offset));
      });
    } finally {
      file.close();
    }
  }

  /** Returns the text of a file, following links; empty if there is none or it is too large. */
  text(path: string, maxBytes: number): string {
    const found = this.resolve(path);
    if (found === undefined) return '';
    const bytes = this.open(found.path, (read) => read(0, maxBytes + 1));
    return bytes === undefined || bytes.length > maxBytes ? '' : bytes.toString('utf8');
  }

  /** Returns the paths of what is in a directory, at most a thousand; none if it is not a directory. */
  names(path: string): readonly string[] {
    const found = this.resolve(path);
    if (found === undefined || this.stat(found.path)?.isDirectory() !== true) return [];
    const directory = this.#root.directory(found.path.slice(1));
    try {
      return readdirSync(directory.path)
        .slice(0, maxNames)
        .map((name) => `${found.path}/${name}`);
    } finally {
      directory.close();
    }
  }

  #link(path: string): string | undefined {
    try {
      return this.#root.stat(path)?.isSymbolicLink() === true ? this.#root.readLink(path) : undefined;
    } catch (error) {
      if (hasCode(error, 'ENOTDIR') || error instanceof UnsafePathError) return undefined;
      throw error;
    }
  }
}

/** Reads at an offset; shorter at the end of the file. */
export type FileReader = (offset: number, length: number) => Buffer;

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
