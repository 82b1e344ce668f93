import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { OciHooks } from '../request/oci-spec.js';
import type { RemovedContainer, RemovedPlaces } from './removed-containers.js';
import type { SavedStorage } from '../storage/saved-storage.js';
import type { SavedContainer } from './saved-container.js';
import { StateFile } from './state-file.js';

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
  /** Removed containers. */
  readonly removed: readonly RemovedContainer[];
  /** The ids of all removed containers. */
  readonly removedIds: readonly string[];
  /** Places that removed containers wrote to. */
  readonly removedPlaces: readonly RemovedPlaces[];
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
  #order = 0;

  /** `state`: the agent's state directory. */
  constructor(state: string) {
    this.#containers = join(state, 'containers');
    this.#sandbox = new StateFile(join(state, 'sandbox.json'));
    this.#storages = new StateFile(join(state, 'storages.json'));
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
