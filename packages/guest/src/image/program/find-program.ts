import { posix } from 'node:path';
import { enginePath, libraryDirectories, linkerFiles } from '@kata-agent/catalogue';
import { readElf } from './elf-file.js';
import type { ImageFiles } from './image-files.js';

/** The part of a process that determines its program. */
export interface Started {
  readonly args: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly cwd: string;
}

/** Paths that a program consists of, absolute and without links. */
export interface ProgramPaths {
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

/** BINPRM_BUF_SIZE of the kernel. */
const firstLine = 256;
/** Interpreters of interpreters; the kernel allows 5. */
const maxDepth = 6;
const maxConfiguration = 64 * 1024;

/**
 * Finds the program that a process starts in the root of an image: each candidate in PATH, its interpreters, links that
 * lead to them, and where libraries are searched. Undefined: there is no program or interpreter, or it cannot be known which.
 */
export function findProgram(started: Started, files: ImageFiles): ProgramPaths | undefined {
  const search = new ProgramSearch(started, files);
  const [command] = started.args;
  return command !== undefined && search.command(command, 0) ? search.result() : undefined;
}

class ProgramSearch {
  readonly #variables: ReadonlyMap<string, string>;
  readonly #cwd: string;
  readonly #image: ImageFiles;
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();
  /** Directories of the binaries: `$ORIGIN` in a variable. */
  readonly #origins = new Set<string>();

  constructor({ env = [], cwd }: Started, image: ImageFiles) {
    this.#variables = new Map(
      env.map((entry) => [entry.split('=', 1)[0] ?? '', entry.replace(/^[^=]*=?/, '')]),
    );
    this.#cwd = cwd === '' ? '/' : cwd;
    this.#image = image;
  }

  /** Adds the libraries of any program. */
  result(): ProgramPaths {
    for (const path of linkerFiles) this.#file(path);
    for (const path of [...libraryDirectories, ...this.#configured()]) this.#directory(path);
    this.#searched(this.#variables.get('LD_LIBRARY_PATH'), /[:;]/, this.#origins);
    for (const path of ['LD_PRELOAD', 'LD_AUDIT'].flatMap((name) =>
      (this.#variables.get(name) ?? '').split(/[ :]/),
    ))
      this.#library(path, this.#origins);
    return { files: [...this.#files], directories: [...this.#directories] };
  }

  /** Reports whether a command leads to a program. Without a slash it is searched in PATH, as by the OCI runtime. */
  command(name: string, depth: number): boolean {
    if (name === '') return false;
    if (name.includes('/')) return this.#program(name, depth);
    const directories = (this.#variables.get('PATH') ?? enginePath).split(':');
    // In a relative directory another program may be found than here.
    if (!directories.every((directory) => directory.startsWith('/'))) return false;
    // All candidates: which one may be executed depends on the user.
    const found = directories.map((directory) => this.#program(`${directory}/${name}`, depth));
    return found.includes(true);
  }

  /** Adds a file and its interpreters; reports whether all of them exist. */
  #program(path: string, depth: number): boolean {
    const found = depth < maxDepth ? this.#file(path) : undefined;
    const stat = found === undefined ? undefined : this.#image.stat(found);
    if (found === undefined || stat?.isFile() !== true || (stat.mode & 0o111) === 0) return false;
    const needs = this.#image.open(found, (read) => {
      const head = read(0, firstLine).toString('latin1');
      return head.startsWith('#!') ? interpreterOf(head) : { elf: readElf(read) };
    });
    if (needs === undefined) return false;
    if ('elf' in needs) {
      const origins = new Set([posix.dirname(found)]);
      for (const origin of origins) this.#origins.add(origin);
      for (const list of needs.elf?.directories ?? []) this.#searched(list, /:/, origins);
      for (const name of needs.elf?.libraries ?? []) this.#library(name, origins);
      const interpreter = needs.elf?.interpreter;
      return interpreter === undefined || this.#program(interpreter, depth + 1);
    }
    const { program, command } = needs;
    return (
      program !== '' &&
      this.#program(program, depth + 1) &&
      (command === undefined || this.command(command, depth + 1))
    );
  }

  /** Adds a path and what leads to it, and returns where it leads. */
  #file(path: string): string | undefined {
    const found = this.#image.resolve(this.#absolute(path));
    if (found === undefined) return undefined;
    for (const each of [...found.passed, found.path]) this.#files.add(each);
    return found.path;
  }

  /** Adds the directories of a list, as glibc reads one: an empty entry is the working directory. */
  #searched(list: string | undefined, separator: RegExp, origins: ReadonlySet<string>): void {
    if (list === undefined || list === '') return;
    for (const entry of list.split(separator))
      for (const path of expanded(entry, origins)) this.#directory(path);
  }

  /** Adds a library that is named by a path; others are in directories with libraries. */
  #library(name: string, origins: ReadonlySet<string>): void {
    if (!name.includes('/')) return;
    for (const path of expanded(name, origins)) {
      if (path.endsWith('/')) this.#directory(path);
      else this.#file(path);
    }
  }

  #directory(path: string): void {
    const found = this.#image.resolve(this.#absolute(path));
    if (found === undefined) return;
    for (const each of found.passed) this.#files.add(each);
    this.#directories.add(found.path);
  }

  #absolute(path: string): string {
    return path.startsWith('/') ? path : `${this.#cwd}/${path}`;
  }

  /** Directories that the image's linkers are configured to search. */
  #configured(): readonly string[] {
    const lines = [
      '/etc/ld.so.conf',
      ...this.#image.names('/etc/ld.so.conf.d'),
      ...linkerFiles.slice(2),
    ].flatMap((path) => {
      this.#file(path);
      return this.#image.text(path, maxConfiguration).split(/[\n:]/);
    });
    return lines.map((line) => line.trim()).filter((line) => line.startsWith('/'));
  }
}

/** The interpreter of a script, and the command that `env` starts, if it is one. Source: execve(2). */
function interpreterOf(head: string): { readonly program: string; readonly command?: string } {
  const [line = ''] = head.slice(2).split('\n');
  const [program = '', ...words] = line.trim().split(/[ \t]+/);
  if (posix.basename(program) !== 'env') return { program };
  const command = words.find((word) => !word.startsWith('-') && !word.includes('='));
  return command === undefined ? { program } : { program, command };
}

/**
 * Replaces `$ORIGIN`. Other names, as `$LIB`, are the linker's own: what is in front of them ends the path, with a slash, and
 * counts as a directory. Source: ld.so(8), "Dynamic string tokens".
 */
function expanded(path: string, origins: ReadonlySet<string>): readonly string[] {
  const names = path.includes('$') ? [...origins] : [''];
  return names.map((origin) =>
    path.replaceAll(/\$(?:ORIGIN(?![A-Za-z0-9_])|\{ORIGIN\})/g, () => origin).replace(/[^/]*\$.*$/s, ''),
  );
}
