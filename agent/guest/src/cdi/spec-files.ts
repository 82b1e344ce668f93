import { closeSync, fstatSync, openSync, readFileSync, readdirSync, type Stats, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, Open } from '@kata-agent/linux';
import { type CdiSpec, parseCdiSpec } from './cdi-spec.js';

/** Parses YAML. Loaded on demand: the library is large, and most guests have no CDI specification. */
export type ParseYaml = (text: string) => unknown;

/** A file of a specification directory. */
export interface CdiSpecFile {
  readonly path: string;
  /** Position of its directory: a later one has precedence. */
  readonly priority: number;
  /** What was read, or why it is not used. */
  readonly content: CdiSpec | { readonly problem: string };
}

/** The names that the specification's own library reads. */
const specName = /\.(?:json|yaml)$/;

const writableByOthers = 0o022;

/** Bytes. The specification of a guest with 16 GPUs has about 100 kB. */
const maxSize = 4 * 1024 * 1024;

/** File systems whose content is another machine's, by statfs(2) magic number (include/uapi/linux/magic.h). */
const foreignFileSystems: ReadonlySet<number> = new Set([
  0x65735546, // fuse, virtiofs
  0x01021997, // 9p
  0x6969, // nfs
  0xff534d42, // cifs
  0xfe534d42, // smb2
  0x73757245, // coda
  0x00c36400, // ceph
]);

interface Parsed {
  readonly state: string;
  readonly content: CdiSpecFile['content'];
}

/**
 * Reads CDI specifications from directories. What a specification says is done with the guest's rights, so it must be the
 * guest's own: a regular file of root in a directory of root, neither writable by others, on a file system of the guest.
 */
export class CdiSpecFiles {
  readonly #directories: readonly string[];
  /** By path; files are read again only when they change, since a wait reads them ten times a second. */
  #parsed: Map<string, Parsed> = new Map();

  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  read(parseYaml: ParseYaml): readonly CdiSpecFile[] {
    const parsed = new Map<string, Parsed>();
    const files = this.#directories.flatMap((directory, priority) =>
      this.#in(directory, parseYaml, parsed).map((file) => ({ ...file, priority })),
    );
    this.#parsed = parsed;
    return files;
  }

  #in(
    directory: string,
    parseYaml: ParseYaml,
    parsed: Map<string, Parsed>,
  ): readonly Omit<CdiSpecFile, 'priority'>[] {
    const opened = openIfThere(directory, Open.Directory);
    if (opened === undefined) return [];
    try {
      const problem = foreign(opened, fstatSync(opened));
      if (problem !== undefined) return [{ path: directory, content: { problem } }];
      const names = readdirSync(`/proc/self/fd/${opened}`).filter((name) => specName.test(name));
      return names.toSorted().flatMap((name) => {
        const path = join(directory, name);
        const file = this.#file(`/proc/self/fd/${opened}/${name}`, path, parseYaml);
        if (file === undefined) return [];
        parsed.set(path, file);
        return [{ path, content: file.content }];
      });
    } finally {
      closeSync(opened);
    }
  }

  /** `at`: the path below the descriptor of the directory. */
  #file(at: string, path: string, parseYaml: ParseYaml): Parsed | undefined {
    let fd: number | undefined;
    try {
      fd = openIfThere(at, Open.NoFollow | Open.NonBlock);
    } catch (error) {
      if (!hasCode(error, 'ELOOP', 'ENXIO')) throw error;
      return { state: '', content: { problem: 'is not a regular file' } };
    }
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      const { dev, ino, mtimeMs, ctimeMs, size } = stat;
      const state = [dev, ino, mtimeMs, ctimeMs, size].join(' ');
      const known = this.#parsed.get(path);
      if (known?.state === state) return known;
      const problem = problemOf(fd, stat);
      return { state, content: problem === undefined ? parse(fd, path, parseYaml) : { problem } };
    } finally {
      closeSync(fd);
    }
  }
}

function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, Open.ReadOnly | flags);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function problemOf(fd: number, stat: Stats): string | undefined {
  if (!stat.isFile()) return 'is not a regular file';
  if (stat.size > maxSize) return `has more than ${maxSize} bytes`;
  return foreign(fd, stat);
}

/** Returns why others than root of the guest can write a file or directory. */
function foreign(fd: number, { uid, mode }: Stats): string | undefined {
  if (uid !== 0) return 'does not belong to root';
  if ((mode & writableByOthers) !== 0) return 'is writable by others than root';
  return foreignFileSystems.has(statfsSync(`/proc/self/fd/${fd}`).type)
    ? 'is on a file system that is not the of the guest'
    : undefined;
}

/** A file that is being written is not valid yet, and will be read again when it has changed. */
function parse(fd: number, path: string, parseYaml: ParseYaml): CdiSpecFile['content'] {
  const text = readFileSync(fd, 'utf8');
  try {
    return parseCdiSpec(path.endsWith('.json') ? JSON.parse(text) : parseYaml(text));
  } catch (error) {
    return { problem: `is not a valid CDI specification: ${(error as Error).message}` };
  }
}
