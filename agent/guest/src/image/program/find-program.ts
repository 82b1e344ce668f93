import { posix } from 'node:path';
import { enginePath, libraryDirectories, linkerFiles } from '@kata-agent/catalogue';
import { readElf } from './elf-file.js';
import { envCommand } from './env-command.js';
import type { ImageFiles } from './image-files.js';
import { parseShebang, type Shebang, shebangBytes } from './shebang.js';

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

/** Where `execvp` of glibc and of musl look without PATH. */
const pathOfLibc = '/usr/local/bin:/bin:/usr/bin';
/** Interpreters of interpreters; the kernel allows 5. */
const maxDepth = 6;
const maxConfiguration = 64 * 1024;

/**
 * Finds the program that a process starts in the root of an image: each candidate in PATH, its interpreters, links that
 * lead to them, and where libraries are searched. Undefined: there is no program or interpreter, or it cannot be known which.
 */
export function findProgram(started: Started, files: ImageFiles): ProgramPaths | undefined {
  const search = new ProgramSearch(started, files);
  return search.process(started.args) ? search.result() : undefined;
}

type Variables = ReadonlyMap<string, string>;

/** The state of a search below one command. */
interface SearchState {
  readonly variables: Variables;
  readonly depth: number;
  /** Whether `env` starts it, and not the OCI runtime. */
  readonly isOfEnv?: boolean;
}

/** What a file needs to be executed; of a script undefined: the kernel refuses it. */
type Needs = { readonly elf: ReturnType<typeof readElf> } | { readonly script: Shebang | undefined };

class ProgramSearch {
  readonly #variables: Variables;
  /** The environments of the process and of commands that `env` starts. */
  readonly #environments: Variables[];
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
    this.#environments = [this.#variables];
    this.#cwd = cwd === '' ? '/' : cwd;
    this.#image = image;
  }

  /** Adds the libraries of any program. */
  result(): ProgramPaths {
    for (const path of linkerFiles) this.#file(path);
    for (const path of [...libraryDirectories, ...this.#configured()]) this.#directory(path);
    for (const variables of this.#environments) {
      this.#searched(variables.get('LD_LIBRARY_PATH'), /[:;]/, this.#origins);
      for (const path of ['LD_PRELOAD', 'LD_AUDIT'].flatMap((name) =>
        (variables.get(name) ?? '').split(/[ :]/),
      ))
        this.#library(path, this.#origins);
    }
    return { files: [...this.#files], directories: [...this.#directories] };
  }

  /** Reports whether the arguments of a process lead to a program, and to the one that it starts if it is `env`. */
  process([command, ...words]: readonly string[]): boolean {
    if (command === undefined) return false;
    const places = this.#command(command, { variables: this.#variables, depth: 0 });
    if (places.length === 0) return false;
    return (
      !places.some((path) => this.#isEnv(path)) ||
      this.#started(words, { variables: this.#variables, depth: 0 })
    );
  }

  /**
   * Adds the programs that a command leads to, and returns their paths as written. Without a slash it is searched in PATH, as by the OCI
   * runtime and by `execvp`.
   */
  #command(name: string, state: SearchState): readonly string[] {
    if (name === '') return [];
    const { variables } = state;
    const path = variables.get('PATH') ?? (state.isOfEnv === true ? pathOfLibc : enginePath);
    const directories = name.includes('/') ? [] : path.split(':');
    // In a relative directory another program may be found than here.
    if (!directories.every((directory) => directory.startsWith('/'))) return [];
    // All candidates: which one may be executed depends on the user.
    const candidates = name.includes('/') ? [name] : directories.map((directory) => `${directory}/${name}`);
    return candidates.filter((path) => this.#program(path, state));
  }

  /** Reports whether `env` with these arguments starts a program, and adds it. */
  #started(words: readonly string[], { variables, depth }: SearchState): boolean {
    const started = depth < maxDepth ? envCommand(words, variables) : undefined;
    if (started === undefined) return false;
    const state = { variables: started.variables, depth: depth + 1, isOfEnv: true };
    this.#environments.push(started.variables);
    // A file in no format that the kernel knows is a script for it.
    this.#program('/bin/sh', state);
    const places = this.#command(started.command, state);
    // A second `env` would start what its own arguments say.
    return places.length > 0 && !places.some((path) => this.#isEnv(path));
  }

  /** Reports whether a path, or where it leads, has the name `env`. */
  #isEnv(path: string): boolean {
    const found = this.#image.resolve(this.#absolute(path));
    return [path, found?.path ?? path].some((each) => posix.basename(each) === 'env');
  }

  /** Adds a file and its interpreters; reports whether all of them exist. */
  #program(path: string, state: SearchState): boolean {
    const found = state.depth < maxDepth ? this.#file(path) : undefined;
    const stat = found === undefined ? undefined : this.#image.stat(found);
    if (found === undefined || stat?.isFile() !== true || (stat.mode & 0o111) === 0) return false;
    const needs = this.#image.open(found, (read): Needs => {
      const head = read(0, shebangBytes);
      return head.subarray(0, 2).toString('latin1') === '#!'
        ? { script: parseShebang(head) }
        : { elf: readElf(read) };
    });
    if (needs === undefined) return false;
    const next = { ...state, depth: state.depth + 1 };
    if ('elf' in needs) {
      const origins = new Set([posix.dirname(found)]);
      for (const origin of origins) this.#origins.add(origin);
      for (const list of needs.elf?.directories ?? []) this.#searched(list, /:/, origins);
      for (const name of needs.elf?.libraries ?? []) this.#library(name, origins);
      const interpreter = needs.elf?.interpreter;
      return interpreter === undefined || this.#program(interpreter, next);
    }
    const { script } = needs;
    if (script === undefined || !this.#program(script.program, next)) return false;
    if (!this.#isEnv(script.program)) return true;
    return this.#started(script.argument === undefined ? [path] : [script.argument, path], next);
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
