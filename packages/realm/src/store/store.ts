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
import { GuestLogs, type GuestLogsOptions } from './guest-logs.js';
import { Revocations } from './revocations.js';
import { takeStoreDirectory, type TryLock } from './store-directory.js';
import { Turns } from './turns.js';

/** Of Node.js's four threads for files, so that one remains for the realm's own log when a disk is slow. */
const writesAtOnce = 2;

const ownLog = { maxSize: 16 * 1024 * 1024, keep: 16 };

export interface StoreOptions extends Pick<GuestLogsOptions, 'maxBytes' | 'onFault' | 'onWritten'> {
  readonly directory: string;
  readonly tryLock: TryLock;
  /** Of this process: the own log's records have it. */
  readonly bootId: string;
  /** For tests. */
  readonly files?: FileLayer;
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
  readonly revocations: Revocations;
  /** The realm's own decisions. */
  readonly decisions: AuditLog;
  readonly #options: GuestLogsOptions;
  readonly #guests = new Map<string, GuestLogs>();
  readonly #unlock: () => Promise<void>;

  private constructor(parts: {
    readonly revocations: Revocations;
    readonly decisions: AuditLog;
    readonly options: GuestLogsOptions;
    readonly unlock: () => Promise<void>;
  }) {
    this.revocations = parts.revocations;
    this.decisions = parts.decisions;
    this.#options = parts.options;
    this.#unlock = parts.unlock;
  }

  /** Throws a StoreError, or AuditUnavailable. */
  static async open(options: StoreOptions): Promise<Store> {
    const { directory, tryLock, bootId, files = systemFiles(), maxBytes, onFault, onWritten } = options;
    const lock = await takeStoreDirectory(directory, tryLock);
    try {
      const revocations = await Revocations.open(join(directory, 'revocations.json'));
      const decisions = await openAuditLog({
        file: join(directory, 'decisions', 'audit.log'),
        bootId,
        ...ownLog,
      });
      const guests = join(directory, 'guests');
      const store = new Store({
        revocations,
        decisions,
        options: { directory: guests, maxBytes, onFault, onWritten, files, turns: new Turns(writesAtOnce) },
        unlock: () => lock.close(),
      });
      await store.#load();
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
    const logs = new GuestLogs(id, this.#options);
    this.#guests.set(id, logs);
    return logs;
  }

  /** Returns the logs of a guest that has been connected; undefined if there is none of this ID. */
  known(id: string): GuestLogs | undefined {
    return this.#guests.get(id);
  }

  /** All guests that have been connected: also those before this process. */
  all(): readonly GuestLogs[] {
    return [...this.#guests.values()];
  }

  /** Yields the stored lines of a guest's log, in groups, without newlines, oldest first; then those to come. */
  async *read(
    logs: GuestLogs,
    { from = 1, follow = false, signal }: ReadOptions,
  ): AsyncGenerator<readonly Buffer[]> {
    const { path } = logs;
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
        const wanted = lines.filter((line) => sequence(line) >= from);
        if (wanted.length > 0) yield wanted;
      }
    } finally {
      await handle.close();
    }
  }

  /** Reads what is stored of each guest. One whose files cannot be used is reported when it connects. */
  async #load(): Promise<void> {
    const names = await readdir(this.#options.directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const id of names.filter((name) => /^[0-9a-f]{64}$/.test(name))) {
      const logs = this.guest(id);
      await logs.load().catch(() => {
        logs.trouble = 'failed';
      });
    }
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
function sequence(line: Buffer): number {
  return Number(/^\{"sequence":(\d+),/.exec(line.toString('latin1', 0, 32))?.[1] ?? 0);
}
