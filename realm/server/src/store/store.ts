import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { inParallel } from '@kata-agent/base';
import {
  type AuditLog,
  type FileLayer,
  followLines,
  LineReader,
  openAuditLog,
  sequenceOf,
} from '@kata-agent/audit';
import { type CollectedLog, type DescribedGuest, type LogStorage } from './log-storage.js';
import { openLogDirectory, type ScannedGuest, takeStoreDirectory, type TryLock } from './log-directory.js';
import { GuestLogs, type GuestLogsOptions } from './guest-logs.js';
import { type RevocationList, Revocations } from './revocations.js';
import type { StoreSpace, StoreSpaceOptions } from './store-space.js';

/**
 * Of about 600 bytes each. Guests have a new key with each boot, and a guest that is accepted with any configuration can come with new ones
 * without end, so that memory must not grow with them. The store has those that are forgotten.
 */
const defaultMost = 16_384;

/** Guests whose files are read at once at start. Guests wait for it, and their attempts fail meanwhile. */
const loadsAtOnce = 16;

const ownLog = { maxSize: 16 * 1024 * 1024, keep: 16 };

export interface StoreOptions extends Pick<GuestLogsOptions, 'maxBytes' | 'onFault' | 'onWritten'> {
  /** The space of all logs. */
  readonly space: Pick<StoreSpaceOptions, 'max' | 'everyMs' | 'onChange'>;
  readonly directory: string;
  readonly tryLock: TryLock;
  /** Of this process: the own log's records have it. */
  readonly bootId: string;
  /** What all replicas of a realm share; absent: logs and revocations are in the directory. */
  readonly shared?: SharedStore | undefined;
  /** For tests. */
  readonly files?: FileLayer;
  /** For tests: how many guests are remembered that are away. */
  readonly maxAway?: number;
}

/** Logs and revocations of all replicas of a realm. */
export interface SharedStore {
  readonly revocations: RevocationList;
  /** Keeps a copy of the revocations, and adds what only the copy has. Throws the system's error. */
  persistRevocations(copy: Revocations): Promise<void>;
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
  /** Of logs in the directory. */
  readonly space: Pick<StoreSpace, 'used' | 'isFull'>;
  readonly #space: StoreSpace;
  readonly #options: Omit<GuestLogsOptions, 'storage'>;
  readonly #storage: (id: string) => LogStorage;
  readonly #shared: SharedStore | undefined;
  /** Guests whose logs are in use, with the number of users. */
  readonly #here = new Map<string, { readonly logs: GuestLogs; users: number }>();
  readonly #away: AwayGuests;
  readonly #unlock: () => Promise<void>;

  private constructor(parts: {
    readonly revocations: RevocationList;
    readonly decisions: AuditLog;
    readonly options: Omit<GuestLogsOptions, 'storage'>;
    readonly storage: (id: string) => LogStorage;
    readonly shared: SharedStore | undefined;
    readonly unlock: () => Promise<void>;
    readonly away: AwayGuests;
    readonly space: StoreSpace;
  }) {
    this.revocations = parts.revocations;
    this.decisions = parts.decisions;
    this.#options = parts.options;
    this.#storage = parts.storage;
    this.#shared = parts.shared;
    this.#unlock = parts.unlock;
    this.#away = parts.away;
    this.#space = parts.space;
    this.space = parts.space;
  }

  /** Throws a StoreError, or AuditUnavailable. */
  static async open(options: StoreOptions): Promise<Store> {
    const { directory, tryLock, bootId, files, maxBytes, onFault, onWritten, shared } = options;
    const lock = await takeStoreDirectory(directory, tryLock);
    try {
      const own = await Revocations.open(join(directory, 'revocations.json'));
      await shared?.persistRevocations(own);
      const revocations = shared?.revocations ?? own;
      const decisions = await openAuditLog({
        file: join(directory, 'decisions', 'audit.log'),
        bootId,
        ...ownLog,
      });
      const { space, storage, scan } = await openLogDirectory(directory, options.space, files);
      const store = new Store({
        revocations,
        decisions,
        options: { maxBytes, onFault, onWritten },
        storage: (id) => shared?.logs(id) ?? storage(id),
        shared,
        unlock: () => lock.close(),
        away: new AwayGuests(options.maxAway),
        space,
      });
      if (shared === undefined) await store.#loadLast(await scan());
      return store;
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  /** Returns the logs of a guest, until `leave` is called as often. */
  guest(id: string): GuestLogs {
    const known = this.#here.get(id);
    if (known !== undefined) {
      known.users += 1;
      return known.logs;
    }
    const logs = this.#logsOf(id);
    this.#here.set(id, { logs, users: 1 });
    return logs;
  }

  /** Returns the logs of a guest that are in use here. */
  logsOf(id: string): GuestLogs | undefined {
    return this.#here.get(id)?.logs;
  }

  /** Notes that a guest has left. Its logs are closed. */
  leave(id: string): void {
    const known = this.#here.get(id);
    if (known === undefined) return;
    known.users -= 1;
    if (known.users > 0) return;
    this.#here.delete(id);
    this.#remember(known.logs);
  }

  /**
   * Finds a guest that has been connected, by the rules of `Guests.find`. Of those of one name the last one is meant. A guest that
   * left before many others is found by its whole ID only.
   */
  async find(name: string): Promise<Pick<DescribedGuest, 'id' | 'name'> | undefined> {
    const all = this.#described();
    const [named] = all
      .filter((guest) => guest.name === name)
      .sort((a, b) => b.connectedAt.localeCompare(a.connectedAt));
    if (named !== undefined || !/^[0-9a-f]{12,64}$/.test(name)) return named;
    const [found, ...more] = all.filter(({ id }) => id.startsWith(name));
    if (found === undefined && name.length === 64 && this.#shared === undefined)
      return await this.#load(name);
    return more.length === 0 ? found : undefined;
  }

  /** What is stored of a guest's log. `isHere`: this process collects it now. */
  logOf(id: string, isHere: boolean): CollectedLog | undefined {
    if (this.#shared !== undefined && !isHere) return this.#shared.logOf(id);
    const here = this.#here.get(id)?.logs.log;
    // Its files are not opened yet.
    return here === undefined || here.state === 'none' ? (this.#away.get(id)?.log ?? here) : here;
  }

  /** Yields the stored lines of a guest's log, in groups, without newlines, oldest first; then those to come. */
  async *read(id: string, options: ReadOptions): AsyncGenerator<readonly Buffer[]> {
    if (this.#shared !== undefined) {
      yield* this.#shared.read(id, options);
      return;
    }
    const { from = 1, follow = false, signal } = options;
    const path = this.#here.get(id)?.logs.path ?? this.#away.get(id)?.path;
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
        const wanted = lines.filter((line) => (sequenceOf(line) ?? 0) >= from);
        if (wanted.length > 0) yield wanted;
      }
    } finally {
      await handle.close();
    }
  }

  /** All guests that have been connected and are remembered: also those before this process. */
  #described(): readonly Pick<DescribedGuest, 'id' | 'name' | 'connectedAt'>[] {
    if (this.#shared !== undefined) return this.#shared.known();
    const here = [...this.#here.values()].flatMap(({ logs }) => logs.described ?? []);
    const ids = new Set(here.map(({ id }) => id));
    return [...here, ...[...this.#away.all()].filter(({ id }) => !ids.has(id))];
  }

  #logsOf(id: string): GuestLogs {
    return new GuestLogs(id, { ...this.#options, storage: this.#storage(id) });
  }

  #remember(logs: GuestLogs): AwayGuest | undefined {
    const { id, described, log, path } = logs;
    if (described === undefined || this.#shared !== undefined) return undefined;
    const { name, connectedAt } = described;
    const guest = { id, name, connectedAt, log, path };
    this.#away.add(guest);
    return guest;
  }

  /** Reads what is stored of a guest that is away. One whose files cannot be used has a log that says so. */
  async #load(id: string): Promise<AwayGuest | undefined> {
    const logs = this.#logsOf(id);
    await logs.load().catch(() => {
      logs.trouble = 'failed';
    });
    // It can have come meanwhile.
    return this.#here.has(id) ? undefined : this.#remember(logs);
  }

  /** Reads what is stored of the guests that were here last. */
  async #loadLast(guests: readonly ScannedGuest[]): Promise<void> {
    const last = [...guests].sort((a, b) => a.time - b.time).slice(-this.#away.max);
    await inParallel(last, loadsAtOnce, async ({ id }) => {
      await this.#load(id);
    });
  }

  /** Makes durable what was written in the last second, and looks whether a full store has room again. */
  async sync(): Promise<void> {
    const here = [...this.#here.values()];
    await Promise.all([this.#space.refresh(), ...here.map(({ logs }) => logs.sync())]);
  }

  /** Makes everything durable, and gives the directory free. */
  async close(): Promise<void> {
    const here = [...this.#here.values()];
    this.#here.clear();
    const closed = await Promise.allSettled([
      ...here.map(({ logs }) => logs.close()),
      this.decisions.close(),
    ]);
    await this.#unlock();
    const failed = closed.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

/** What is known of a guest that is not connected here. */
interface AwayGuest extends Pick<DescribedGuest, 'id' | 'name' | 'connectedAt'> {
  readonly log: CollectedLog;
  /** Of its newest log; undefined: it has none. */
  readonly path: string | undefined;
}

/** Guests that have been connected, those that left last. */
class AwayGuests {
  readonly #max: number;
  /** The one that left first is first. */
  readonly #guests = new Map<string, AwayGuest>();

  constructor(max: number = defaultMost) {
    this.#max = max;
  }

  /** The number of guests that are remembered at most. */
  get max(): number {
    return this.#max;
  }

  get(id: string): AwayGuest | undefined {
    return this.#guests.get(id);
  }

  all(): Iterable<AwayGuest> {
    return this.#guests.values();
  }

  /** Adds a guest that has just left, or that was asked for. */
  add(guest: AwayGuest): void {
    this.#guests.delete(guest.id);
    this.#guests.set(guest.id, guest);
    const [first] = this.#guests.keys();
    if (this.#guests.size > this.#max && first !== undefined) this.#guests.delete(first);
  }
}
