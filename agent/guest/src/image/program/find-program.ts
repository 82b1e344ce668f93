import { posix } from 'node:path';
import { enginePath, libraryDirectories, linkerFiles } from '@kata-agent/catalogue';
import { envCommand } from './env-command.js';
import type { FileReader, ImageFiles } from './image-files.js';

/** The kernel reads BINPRM_BUF_SIZE bytes of a file, 256, and uses one less of a script. */
const shebangBytes = 256;

const maxHeaders = 512;

const maxTable = 64 * 1024;

const maxText = 4096;

const segment = { load: 1, dynamic: 2, interpreter: 3 } as const;

const tag = { end: 0, needed: 1, strings: 5, rpath: 15, runpath: 29 } as const;

/** DT_NEEDED, DT_CONFIG, DT_DEPAUDIT, DT_AUDIT, DT_AUXILIARY, DT_FILTER. */
const libraryTags: ReadonlySet<number> = new Set([
  tag.needed,
  0x6fff_fefa,
  0x6fff_fefb,
  0x6fff_fefc,
  0x7fff_fffd,
  0x7fff_ffff,
]);

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

/** What an ELF file says of the files that it needs. */
interface ElfNeeds {
  /** The dynamic linker (PT_INTERP); undefined: it is static, or a library. */
  readonly interpreter: string | undefined;
  /** Lists of directories with libraries (DT_RPATH, DT_RUNPATH), as written. */
  readonly directories: readonly string[];
  /** Its libraries (DT_NEEDED), and those that audit it, as written: names, or paths. */
  readonly libraries: readonly string[];
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Reads the headers of an ELF file; undefined: it is not one, or damaged. Source: elf(5). */
function readElf(read: FileReader): ElfNeeds | undefined {
  const head = read(0, 64);
  if (head.length < 52 || head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const is64 = head[4] === 2;
  const littleEndian = head[5] !== 2;
  const number = (bytes: Buffer, at: number, size: 2 | 4 | 8): number => {
    if (at + size > bytes.length) throw new RangeError('beyond the end');
    if (size === 8) return Number(littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    if (size === 4) return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    return littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  };
  const word = is64 ? 8 : 4;
  try {
    const start = number(head, is64 ? 32 : 28, word);
    const size = number(head, is64 ? 54 : 42, 2);
    const count = Math.min(number(head, is64 ? 56 : 44, 2), maxHeaders);
    const table = read(start, size * count);
    const segments = Array.from({ length: count }, (_, index): Segment => {
      const at = index * size;
      return {
        type: number(table, at, 4),
        offset: number(table, at + (is64 ? 8 : 4), word),
        address: number(table, at + (is64 ? 16 : 8), word),
        size: number(table, at + (is64 ? 32 : 16), word),
      };
    });
    const interpreter = segments.find(({ type }) => type === segment.interpreter);
    return {
      interpreter: interpreter && textAt(read, interpreter.offset),
      ...dynamicTexts(segments),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }

  function dynamicTexts(segments: readonly Segment[]): Pick<ElfNeeds, 'directories' | 'libraries'> {
    const none = { directories: [], libraries: [] };
    const dynamic = segments.find(({ type }) => type === segment.dynamic);
    if (dynamic === undefined) return none;
    const table = read(dynamic.offset, Math.min(dynamic.size, maxTable));
    const paths: number[] = [];
    const libraries: number[] = [];
    let strings: number | undefined;
    for (let at = 0; at + 2 * word <= table.length; at += 2 * word) {
      const name = number(table, at, word);
      const value = number(table, at + word, word);
      if (name === tag.end) break;
      if (name === tag.strings) strings = value;
      if (name === tag.rpath || name === tag.runpath) paths.push(value);
      if (libraryTags.has(name)) libraries.push(value);
    }
    const home = segments.find(
      ({ type, address, size }) =>
        type === segment.load && strings !== undefined && strings >= address && strings < address + size,
    );
    if (home === undefined || strings === undefined) return none;
    const offset = home.offset + strings - home.address;
    const texts = (offsets: readonly number[]): readonly string[] =>
      offsets.map((each) => textAt(read, offset + each));
    return { directories: texts(paths), libraries: texts(libraries) };
  }
}

function textAt(read: FileReader, offset: number): string {
  const bytes = read(offset, maxText);
  const end = bytes.indexOf(0);
  if (end < 0) throw new RangeError('a text without end');
  return bytes.toString('latin1', 0, end);
}

/** The first line of a script: its interpreter, and the one argument that the kernel passes to it. */
interface Shebang {
  readonly program: string;
  readonly argument?: string;
}

/**
 * Parses the beginning of a script, which begins with `#!`. Undefined: the kernel does not execute it, or the path is not UTF-8. Blanks are
 * spaces and tabs only: a carriage return belongs to the path. All behind the path is one argument, with its blanks.
 *
 * Source: `load_script` in fs/binfmt_script.c of Linux 6.12.
 */
function parseShebang(head: Buffer): Shebang | undefined {
  const used = head.subarray(2, shebangBytes - 1);
  const end = used.indexOf('\n');
  const isCut = end < 0 && head.length >= shebangBytes;
  const line = used.subarray(0, end < 0 ? used.length : end).toString('utf8');
  if (line.includes('\uFFFD')) return undefined;
  const [, program = '', behind = ''] = /^[ \t]*([^ \t\0]*)([^]*)$/.exec(line) ?? [];
  // Of an interpreter that does not end in the buffer the kernel would execute another.
  if (program === '' || (isCut && behind === '')) return undefined;
  const argument = (behind.split('\0')[0] ?? '').replace(/^[ \t]+|[ \t]+$/g, '');
  return argument === '' ? { program } : { program, argument };
}
