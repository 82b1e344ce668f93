import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { inParallel, Semaphore } from '@kata-agent/base';
import { type FileLayer, makeDirectory, systemFiles } from '@kata-agent/audit';
import { ChainFile, type ChainFileOptions } from './chain-file.js';
import { parseNotes } from './log-notes.js';
import {
  type DescribedGuest,
  type LogStorage,
  maxLogs,
  type StoredLog,
  type LogNote,
} from './log-storage.js';
import { openOwnFile, readOwnFile, StoreError, writeFileAtomically } from './own-file.js';
import { StoreSpace, type StoreSpaceOptions } from './store-space.js';

/** Directories of guests that are read at once. */
const scansAtOnce = 16;

/** Of Node.js's four threads for files, so that one remains for others when a disk is slow. */
const writesAtOnce = 2;

/** A directory with the logs of guests: `guests/ID/`. */
export interface LogDirectory {
  readonly space: StoreSpace;
  readonly storage: (id: string) => LogStorage;
  readonly scan: () => Promise<readonly ScannedGuest[]>;
}

/** Opens the logs of a directory that is locked. `space` is their limit together. Throws the system's error. */
export async function openLogDirectory(
  directory: string,
  space: Pick<StoreSpaceOptions, 'max' | 'everyMs' | 'onChange'>,
  files: FileLayer = systemFiles(),
): Promise<LogDirectory> {
  const guests = join(directory, 'guests');
  const slots = new Semaphore(writesAtOnce);
  const scan = (): Promise<readonly ScannedGuest[]> => scanGuests(guests);
  const used = new StoreSpace({
    ...space,
    measure: async () => bytesOf(await scan()),
    free: async () => {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },
  });
  await used.open();
  return {
    space: used,
    storage: (id) => new DirectoryLogStorage(id, { directory: guests, files, slots, space: used }),
    scan,
  };
}

function bytesOf(guests: readonly ScannedGuest[]): number {
  return StoreSpace.of(
    guests.length,
    guests.reduce((sum, { bytes }) => sum + bytes, 0),
  );
}

/** The directory of a guest. */
export interface ScannedGuest {
  readonly id: string;
  /** Of its logs and notes. */
  readonly bytes: number;
  /** When it connected last: each connection replaces a file. Milliseconds of the epoch. */
  readonly time: number;
}

/** Reads the sizes of all that is stored of guests. What is moved away meanwhile is left out. */
async function scanGuests(directory: string): Promise<readonly ScannedGuest[]> {
  const names = (await namesIn(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const found: ScannedGuest[] = [];
  await inParallel(names, scansAtOnce, async (id) => {
    const guest = await scan(id, join(directory, id));
    if (guest !== undefined) found.push(guest);
  });
  return found;
}

async function scan(id: string, directory: string): Promise<ScannedGuest | undefined> {
  try {
    const { mtimeMs: time } = await stat(directory);
    let bytes = 0;
    for (const name of await readdir(directory))
      if (name === 'notes' || name.endsWith('.log')) bytes += (await stat(join(directory, name))).size;
    return { id, bytes, time };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

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

/** flock(2) with LOCK_EX | LOCK_NB; false if another open file has the lock. */
export type TryLock = (descriptor: number) => boolean;

/**
 * Creates the directory of a store if it is missing, and locks it until the returned file is closed or the process ends,
 * however that is. Throws a StoreError.
 */
export async function takeStoreDirectory(path: string, tryLock: TryLock): Promise<FileHandle> {
  const help = 'choose a directory of this user whose mode is 0700: --store DIR';
  await makeDirectory(path).catch((error: Error) => {
    throw new StoreError(`the store ${path} cannot be created: ${error.message}`, help, { cause: error });
  });
  const found = await lstat(path);
  if (!found.isDirectory()) throw new StoreError(`the store ${path} is not a directory`, help);
  if (found.uid !== process.geteuid?.())
    throw new StoreError(`the store ${path} belongs to uid ${found.uid}`, help);
  if ((found.mode & 0o077) !== 0)
    throw new StoreError(
      `the store ${path} is open to other users: its mode is ${(found.mode & 0o777).toString(8)}`,
      `chmod 700 ${path}`,
    );
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const lock = await open(join(path, 'lock'), flags, 0o600).catch((error: Error) => {
    throw new StoreError(`the store ${path} cannot be locked: ${error.message}`, help, { cause: error });
  });
  try {
    if (tryLock(lock.fd)) return lock;
  } catch (error) {
    await lock.close();
    throw new StoreError(`the store ${path} cannot be locked: ${(error as Error).message}`, help, {
      cause: error,
    });
  }
  await lock.close();
  throw new StoreError(
    `the store ${path} is in use by another realm`,
    'stop that process first (fuser names it), or choose another directory: --store DIR',
  );
}
