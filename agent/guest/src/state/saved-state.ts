import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere, replaceFile } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';
import type { Container } from '../container/container.js';
import type { GuestLog } from '../guest-log.js';
import type { MountStatus } from '../request/actions.js';
import { contains } from '../paths/clean-path.js';
import type { OciHooks } from '../request/oci-spec.js';
import type { RemovedOwner } from '../source/removed-places.js';
import type { SavedStorage } from '../storage/storage-entries.js';
import { type SavedContainer, savedContainer } from './saved-container.js';

/** Maximum number of records: far more than a pod needs, with at most two of each name. */
const maxRecords = 256;

/** Version of the content's format. A file of another version is not read. */
const format = 5;

/** The sandbox, from the first step of its creation to the last of its removal. */
export interface SavedSandbox {
  /** `creating`, `destroying`: the next agent removes what exists of it. */
  readonly phase: 'creating' | 'made' | 'destroying';
  readonly id: string;
  readonly hostname: string;
  /** Its resolv.conf; absent: it has none. */
  readonly resolvConf?: string;
  /** The OCI hooks of the guest image; absent: CreateSandbox named no directory. */
  readonly hooks?: OciHooks;
  /** Mount points of its own storages. */
  readonly storages: readonly string[];
  /** Removed containers, for rules; `loadRemoved` has all of them. */
  readonly removed: readonly RemovedContainer[];
  /** The id of the container whose namespaces the others join; absent: none yet. */
  readonly first?: string;
}

/**
 * The state that the next agent needs if this one is killed (S20; docs/adr/restarts.md, "What survives a restart"). Each file
 * is written before the step after which it is needed, and removed after the last undo step.
 */
export class SavedState {
  readonly #containers: string;
  readonly #sandbox: StateFile<SavedSandbox>;
  readonly #storages: StateFile<readonly SavedStorage[]>;
  /** A line for each removed container: the file is only appended to, since a sandbox can have many. */
  readonly #removed: string;
  #order = 0;

  /** `state`: the agent's state directory. */
  constructor(state: string) {
    this.#containers = join(state, 'containers');
    this.#sandbox = new StateFile(join(state, 'sandbox.json'));
    this.#storages = new StateFile(join(state, 'storages.json'));
    this.#removed = join(state, 'removed.jsonl');
    mkdirSync(this.#containers, { recursive: true, mode: 0o700 });
  }

  /** Returns the sequence number of the next container. */
  nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }

  /** Returns the containers in order of creation. Removes files that were not completely written. */
  loadContainers(): readonly SavedContainer[] {
    const records: SavedContainer[] = [];
    for (const name of readdirSync(this.#containers)) {
      const file = new StateFile<SavedContainer>(join(this.#containers, name));
      const record = name.endsWith(suffix) ? file.load() : undefined;
      if (record === undefined) file.remove();
      else records.push(record);
    }
    records.sort((a, b) => a.order - b.order);
    this.#order = Math.max(this.#order, records.at(-1)?.order ?? 0);
    return records;
  }

  saveContainer(record: SavedContainer): void {
    this.#file(record.id).save(record);
  }

  removeContainer(id: string): void {
    this.#file(id).remove();
  }

  loadSandbox(): SavedSandbox | undefined {
    return this.#sandbox.load();
  }

  saveSandbox(record: SavedSandbox): void {
    this.#sandbox.save(record);
  }

  removeSandbox(): void {
    this.#sandbox.remove();
  }

  /** Creates the file of removed containers, which a sandbox has from its creation to its end. Keeps one that is there. */
  openRemoved(): void {
    appendFileSync(this.#removed, '', { mode: 0o600 });
  }

  /** Adds a removed container of the sandbox. */
  addRemoved(owner: RemovedOwner): void {
    appendFileSync(this.#removed, `${JSON.stringify(enveloped(owner))}\n`, { mode: 0o600 });
  }

  /** Returns the removed containers. A line that was not completely written is cut off. */
  loadRemoved(): readonly RemovedOwner[] {
    const text = readIfThere(this.#removed)?.toString() ?? '';
    const lines = text.split('\n').slice(0, -1);
    const complete = lines.map((line) => `${line}\n`).join('');
    if (complete !== text) replaceFile(this.#removed, complete, { mode: 0o600, survives: 'process' });
    return lines.flatMap((line) => (opened(line) as RemovedOwner | undefined) ?? []);
  }

  clearRemoved(): void {
    rmSync(this.#removed, { force: true });
  }

  loadStorages(): readonly SavedStorage[] {
    return this.#storages.load() ?? [];
  }

  /** Saves the storages; removes the file if there are none. */
  saveStorages(records: readonly SavedStorage[]): void {
    if (records.length === 0) this.#storages.remove();
    else this.#storages.save(records);
  }

  /** An identifier is a safe file name (S8). */
  #file(id: string): StateFile<SavedContainer> {
    return new StateFile(join(this.#containers, `${id}${suffix}`));
  }
}

/** Suffix of complete files; others were being written when the agent was killed. */
const suffix = '.json';

interface Envelope<T> {
  readonly format: number;
  readonly value: T;
}

function enveloped<T>(value: T): Envelope<T> {
  return { format, value };
}

/** Undefined: the content has another version. */
function opened(text: string): unknown {
  const envelope = JSON.parse(text) as Envelope<unknown>;
  return envelope.format === format ? envelope.value : undefined;
}

/**
 * A value of the agent's state, for its successor after a kill. Replaced atomically, so that the file always has the
 * old text or the new one. It survives the process, not the machine: nothing is synced to disk.
 */
class StateFile<T> {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Undefined: there is no file, or it has another version. Only the agent writes below the state directory (S10), so content of the right version has the
   * type that was saved.
   */
  load(): T | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
    return opened(text) as T | undefined;
  }

  save(value: T): void {
    replaceFile(this.#file, JSON.stringify(enveloped(value)), { mode: 0o600, survives: 'process' });
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}

/** The record of a removed container, for rules about the order of containers (S35). */
export interface RemovedContainer {
  /** Its name in the pod, from the host; empty: the pause container, or unnamed. */
  readonly name: string;
  /** Exit code of its first process; absent: unknown. */
  readonly exitCode: number | undefined;
  /** Its mounts of storages that the sandbox keeps (S38). */
  readonly mounts: readonly MountStatus[];
}

/**
 * Adds a container to the records: of each name the last that was removed is kept, and the last that exited with 0.
 * Pure.
 */
export function remembered(
  removed: readonly RemovedContainer[],
  container: RemovedContainer,
): readonly RemovedContainer[] {
  const { name, exitCode } = container;
  const others = removed.filter((each) => each.name !== name || (each.exitCode === 0 && exitCode !== 0));
  return [...others, container].slice(-maxRecords);
}

/** Returns the mounts of storages that outlive their container. `kept`: the mount points of these storages. Pure. */
export function mountsOfKept(
  mounts: readonly MountStatus[],
  kept: readonly string[],
): readonly MountStatus[] {
  return mounts.filter(({ source }) => kept.some((place) => contains(place, source)));
}

/** Returns the places of a container that only it had: files that it wrote may still be there (S29). Pure. */
export function ownSourcesOf({ id, sources }: RemovedOwner): RemovedOwner {
  return { id, sources: sources.filter(({ use }) => use === 'own') };
}

/**
 * Saves the state that a restarted agent needs to resume a container, at once and on each change. Throws if the first
 * save fails: a container that a restart would lose is not created. Later failures are logged as errors.
 */
export function persistContainer(
  container: Container,
  { records, log }: { readonly records: SavedState; readonly log: GuestLog },
): void {
  const save = (): void => records.saveContainer(savedContainer(container));
  save();
  container.changed = () => {
    try {
      save();
    } catch (error) {
      log('error', `the state file of container ${container.id} cannot be written: ${String(error)}`, {
        container: container.id,
      });
    }
  };
}
