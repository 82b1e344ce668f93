import { count, parseTable } from './cgroup-files.js';

/** The files of a cgroup's directories, as the readers of v1 and v2 ask for them. */
export interface StatsFiles {
  /** The text of a file; undefined: the cgroup does not have it. */
  readonly read: (directory: string, name: string) => string | undefined;
  readonly names: (directory: string) => ReadonlySet<string>;
}

/** The files of one directory. Without a directory, as of a controller that the guest lacks, it has none. */
export class StatsDirectory {
  readonly #files: StatsFiles;
  readonly #directory: string | undefined;

  constructor(files: StatsFiles, directory: string | undefined) {
    this.#files = files;
    this.#directory = directory;
  }

  get names(): ReadonlySet<string> {
    return this.#directory === undefined ? new Set() : this.#files.names(this.#directory);
  }

  text(name: string): string | undefined {
    return this.#directory === undefined ? undefined : this.#files.read(this.#directory, name);
  }

  /** A file that holds one number, or `max`. Absent: 0. */
  count(name: string): bigint {
    return count(this.text(name)?.trim());
  }

  /** A file of `name value` lines. Absent: no names. */
  table(name: string): Readonly<Record<string, bigint>> {
    return parseTable(this.text(name));
  }

  /** A limit of pids; `max` is 0, the protocol's value for no limit. */
  pidsLimit(name: string): bigint {
    const text = this.text(name)?.trim();
    return text === 'max' ? 0n : count(text);
  }
}
