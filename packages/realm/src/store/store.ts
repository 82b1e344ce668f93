import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AuditLog,
  type FileLayer,
  followLines,
  LineReader,
  openAuditLog,
  systemFiles,
} from '@kata-agent/audit';
import type { CollectedLog } from './collected-log.js';
import { DirectoryLogStorage } from './directory-log-storage.js';
import { GuestLogs, type GuestLogsOptions } from './guest-logs.js';
import type { DescribedGuest, LogStorage } from './log-storage.js';
import { type RevocationList, Revocations } from './revocations.js';
import { takeStoreDirectory, type TryLock } from './store-directory.js';
import { Turns } from './turns.js';

/** Of Node.js's four threads for files, so that one remains for the realm's own log when a disk is slow. */
const writesAtOnce = 2;

/** Guests whose files are read at once at start. Guests wait for it, and their attempts fail meanwhile. */
const loadsAtOnce = 16;

const ownLog = { maxSize: 16 * 1024 * 1024, keep: 16 };

export interface StoreOptions extends Pick<GuestLogsOptions, 'maxBytes' | 'onFault' | 'onWritten'> {
  readonly directory: string;
  readonly tryLock: TryLock;
  /** Of this process: the own log's records have it. */
  readonly bootId: string;
  /** What all replicas of a realm share; absent: logs and revocations are in the directory. */
  readonly shared?: SharedStore | undefined;
  /** For tests. */
  readonly files?: FileLayer;
}

/** Logs and revocations of all replicas of a realm. */
export interface SharedStore {
  readonly revocations: RevocationList;
  /** Keeps a copy of the revocations, and adds what only the copy has. Throws the system's error. */
  keepRevocations(copy: Revocations): Promise<void>;
  /** Returns where the logs of a guest are stored. */
  logs(id: string): LogStorage;
  /** All guests that have been connected to any replica. */
  known(): readonly DescribedGuest[];
  /** The log of a guest as its last holder has described it. */
  logOf(id: string): CollectedLog | undefined;
  read(id: string, options: ReadOptions): AsyncIterable<readonly Buffer[]>;
}

export interface ReadOptions {
  /** The sequence number of the first record. */
  readonly from?: number | undefined;
  /** Also records to come. */
  readonly follow?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * The directory of a realm: `lock`, `revocations.json`, its own audit log `decisions/audit.log`, and `guests/ID/` with the
 * logs of each guest. One process uses it at a time.
 */
export class Store {
  readonly revocations: RevocationList;
  /** The realm's own decisions. */
  readonly decisions: AuditLog;
  readonly #options: Omit<GuestLogsOptions, 'storage'>;
  readonly #directory: string;
  readonly #storage: (id: string) => LogStorage;
  readonly #shared: SharedStore | undefined;
  readonly #guests = new Map<string, GuestLogs>();
  readonly #unlock: () => Promise<void>;

  private constructor(parts: {
    readonly revocations: RevocationList;
    readonly decisions: AuditLog;
    readonly options: Omit<GuestLogsOptions, 'storage'>;
    readonly directory: string;
    readonly storage: (id: string) => LogStorage;
    readonly shared: SharedStore | undefined;
    readonly unlock: () => Promise<void>;
  }) {
    this.revocations = parts.revocations;
    this.decisions = parts.decisions;
    this.#options = parts.options;
    this.#directory = parts.directory;
    this.#storage = parts.storage;
    this.#shared = parts.shared;
    this.#unlock = parts.unlock;
  }

  /** Throws a StoreError, or AuditUnavailable. */
  static async open(options: StoreOptions): Promise<Store> {
    const {
      directory,
      tryLock,
      bootId,
      files = systemFiles(),
      maxBytes,
      onFault,
      onWritten,
      shared,
    } = options;
    const lock = await takeStoreDirectory(directory, tryLock);
    try {
      const own = await Revocations.open(join(directory, 'revocations.json'));
      await shared?.keepRevocations(own);
      const revocations = shared?.revocations ?? own;
      const decisions = await openAuditLog({
        file: join(directory, 'decisions', 'audit.log'),
        bootId,
        ...ownLog,
      });
      const guests = join(directory, 'guests');
      const turns = new Turns(writesAtOnce);
      const store = new Store({
        revocations,
        decisions,
        options: { maxBytes, onFault, onWritten },
        directory: guests,
        storage: (id) => shared?.logs(id) ?? new DirectoryLogStorage(id, { directory: guests, files, turns }),
        shared,
        unlock: () => lock.close(),
      });
      if (shared === undefined) await store.#load();
      return store;
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  /** Returns the logs of a guest. */
  guest(id: string): GuestLogs {
    const known = this.#guests.get(id);
    if (known !== undefined) return known;
    const logs = new GuestLogs(id, { ...this.#options, storage: this.#storage(id) });
    this.#guests.set(id, logs);
    return logs;
  }

  /** All guests that have been connected: also those before this process. */
  described(): readonly DescribedGuest[] {
    if (this.#shared !== undefined) return this.#shared.known();
    return [...this.#guests.values()].flatMap(({ described }) => described ?? []);
  }

  /** Finds a guest that has been connected, by the rules of `Guests.find`. Of those of one name the last one is meant. */
  find(name: string): DescribedGuest | undefined {
    const all = this.described();
    const [named] = all
      .filter((guest) => guest.name === name)
      .sort((a, b) => b.connectedAt.localeCompare(a.connectedAt));
    if (named !== undefined || !/^[0-9a-f]{12,64}$/.test(name)) return named;
    const [found, ...more] = all.filter(({ id }) => id.startsWith(name));
    return more.length === 0 ? found : undefined;
  }

  /** What is stored of a guest's log. `isHere`: this process collects it now. */
  logOf(id: string, isHere: boolean): CollectedLog | undefined {
    if (this.#shared !== undefined && !isHere) return this.#shared.logOf(id);
    return this.#guests.get(id)?.log;
  }

  /** Yields the stored lines of a guest's log, in groups, without newlines, oldest first; then those to come. */
  async *read(id: string, options: ReadOptions): AsyncGenerator<readonly Buffer[]> {
    if (this.#shared !== undefined) {
      yield* this.#shared.read(id, options);
      return;
    }
    const { from = 1, follow = false, signal } = options;
    const { path } = this.guest(id);
    if (path === undefined) return;
    if (follow) {
      yield* followLines(path, { from, signal });
      return;
    }
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const reader = new LineReader(handle);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
        if (signal.aborted) return;
        const wanted = lines.filter((line) => sequenceOf(line) >= from);
        if (wanted.length > 0) yield wanted;
      }
    } finally {
      await handle.close();
    }
  }

  /** Reads what is stored of each guest. One whose files cannot be used is reported when it connects. */
  async #load(): Promise<void> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const ids = names.filter((name) => /^[0-9a-f]{64}$/.test(name)).values();
    const loadNext = async (): Promise<void> => {
      for (const id of ids) {
        const logs = this.guest(id);
        await logs.load().catch(() => {
          logs.trouble = 'failed';
        });
      }
    };
    await Promise.all(Array.from({ length: loadsAtOnce }, loadNext));
  }

  /** Makes durable what was written in the last second. */
  async sync(): Promise<void> {
    await Promise.all([...this.#guests.values()].map((logs) => logs.sync()));
  }

  /** Makes everything durable, and gives the directory free. */
  async close(): Promise<void> {
    const logs = [...this.#guests.values()];
    this.#guests.clear();
    const closed = await Promise.allSettled([...logs.map((each) => each.close()), this.decisions.close()]);
    await this.#unlock();
    const failed = closed.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

/** Lines are stored only if they begin with their sequence number. */
export function sequenceOf(line: Buffer): number {
  return Number(/^\{"sequence":(\d+),/.exec(line.toString('latin1', 0, 32))?.[1] ?? 0);
}
