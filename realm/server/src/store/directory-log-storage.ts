import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@kata-agent/audit';
import { ChainFile, type ChainFileOptions } from './chain-file.js';
import { type LogNote, parseNotes } from './log-note.js';
import { type DescribedGuest, type LogStorage, maxLogs, type StoredLog } from './log-storage.js';
import { StoreError } from './store-error.js';
import { writeFileAtomically } from './write-file-atomically.js';
import { openOwnFile, readOwnFile } from './own-file.js';

export interface DirectoryLogStorageOptions extends ChainFileOptions {
  /** The directory of all guests. */
  readonly directory: string;
}

/** The logs of a guest in a directory of its own: `HASH.log`, `notes` and `guest.json`. */
export class DirectoryLogStorage implements LogStorage {
  readonly #id: string;
  readonly #options: DirectoryLogStorageOptions;
  readonly #directory: string;

  constructor(id: string, options: DirectoryLogStorageOptions) {
    this.#id = id;
    this.#options = options;
    this.#directory = join(options.directory, id);
  }

  async open(): ReturnType<LogStorage['open']> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const notes = parseNotes(await textOf(join(this.#directory, 'notes')));
    let otherBytes = 0;
    let newest: { readonly path: string; readonly mtimeMs: number; readonly size: number } | undefined;
    for (const name of names) {
      const path = join(this.#directory, name);
      const { mtimeMs, size } = await stat(path);
      otherBytes += size;
      if (!/^[0-9a-f]{32}\.log$/.test(name) || (newest !== undefined && newest.mtimeMs >= mtimeMs)) continue;
      newest = { path, mtimeMs, size };
    }
    if (newest === undefined) return { notes, otherBytes, newest };
    otherBytes -= newest.size;
    const file = await ChainFile.open(newest.path, this.#options);
    if (file.last !== undefined) return { notes, otherBytes, newest: file };
    await file.close();
    return { notes, otherBytes, newest: undefined };
  }

  async create(name: string): Promise<StoredLog> {
    await this.#makeDirectory();
    const names = await readdir(this.#directory);
    const file = `${name}.log`;
    const logs = names.filter((each) => each.endsWith('.log'));
    if (!logs.includes(file) && logs.length >= maxLogs)
      throw new StoreError(
        `guest ${this.#id} has sent ${logs.length} logs, and no more are stored`,
        `move ${this.#directory} away, as evidence`,
      );
    return await ChainFile.open(join(this.#directory, file), this.#options);
  }

  async note(note: LogNote): Promise<number> {
    await this.#makeDirectory();
    const text = `${JSON.stringify({ ...note, at: new Date().toISOString() })}\n`;
    const { slots, space } = this.#options;
    const write = async (): Promise<void> => {
      const file = await openOwnFile(join(this.#directory, 'notes'), 'append');
      try {
        await file.writeFile(text);
        await file.datasync();
      } finally {
        await file.close();
      }
    };
    // Without it the store would say less of a log than is known, and there are few.
    await space.writeAnyway(Buffer.byteLength(text), () => slots.run(write));
    return text.length;
  }

  async describe(described: DescribedGuest): Promise<void> {
    await this.#makeDirectory();
    const path = join(this.#directory, 'guest.json');
    await this.#options.space.writeAnyway(0, () =>
      writeFileAtomically(path, `${JSON.stringify(described)}\n`),
    );
  }

  /** Makes the directory of a new guest, if the store has room for one. */
  async #makeDirectory(): Promise<void> {
    const found = await stat(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) await this.#options.space.makeGuest(() => makeDirectory(this.#directory));
  }

  /** Nothing: the state is read from the files. */
  async report(): Promise<void> {}

  async described(): Promise<DescribedGuest | undefined> {
    const path = join(this.#directory, 'guest.json');
    const text = await textOf(path);
    if (text === '') return undefined;
    let described: unknown;
    try {
      described = JSON.parse(text);
    } catch (error) {
      throw new StoreError(`${path} is not JSON`, 'something else has written to it: move it away', {
        cause: error,
      });
    }
    const isWhole =
      typeof described === 'object' &&
      described !== null &&
      'name' in described &&
      'connectedAt' in described;
    return isWhole ? (described as DescribedGuest) : undefined;
  }
}

async function textOf(path: string): Promise<string> {
  return (await readOwnFile(path))?.toString() ?? '';
}
