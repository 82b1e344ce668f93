import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageRecord } from '../storage/storage-record.js';
import type { ContainerRecord } from './container-record.js';
import { loadState, removeState, saveState } from './state-file.js';

/** The sandbox, from the first step of its making to the last of its end. */
export interface SandboxRecord {
  /** `making` and `destroying`: what there is of it is to be taken down. */
  readonly phase: 'making' | 'made' | 'destroying';
  readonly id: string;
  readonly hostname: string;
  /** Its resolv.conf; absent: it has none. */
  readonly resolvConf?: string;
  /** Mount points of its own storages. */
  readonly storages: readonly string[];
  /** The id of the container whose namespaces the others join; absent: there was none yet. */
  readonly first?: string;
}

/**
 * What the next agent has to know when this one is killed (S20; docs/adr/0013). Each record is written before the step
 * after which it is needed, and removed after the last step that takes things back.
 */
export class GuestRecords {
  readonly #containers: string;
  readonly #sandbox: string;
  readonly #storages: string;
  #order = 0;

  /** `state`: our state directory. */
  constructor(state: string) {
    this.#containers = join(state, 'containers');
    this.#sandbox = join(state, 'sandbox.json');
    this.#storages = join(state, 'storages.json');
    mkdirSync(this.#containers, { recursive: true, mode: 0o700 });
  }

  /** For the next container. */
  nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }

  /** In the order in which they were made. Files that were never finished are removed. */
  loadContainers(): readonly ContainerRecord[] {
    const records: ContainerRecord[] = [];
    for (const name of readdirSync(this.#containers)) {
      const file = join(this.#containers, name);
      const record = name.endsWith(recordSuffix) ? loadState<ContainerRecord>(file) : undefined;
      if (record === undefined) removeState(file);
      else records.push(record);
    }
    records.sort((a, b) => a.order - b.order);
    this.#order = Math.max(this.#order, records.at(-1)?.order ?? 0);
    return records;
  }

  saveContainer(record: ContainerRecord): void {
    saveState(this.#file(record.id), record);
  }

  removeContainer(id: string): void {
    removeState(this.#file(id));
  }

  loadSandbox(): SandboxRecord | undefined {
    return loadState(this.#sandbox);
  }

  saveSandbox(record: SandboxRecord): void {
    saveState(this.#sandbox, record);
  }

  removeSandbox(): void {
    removeState(this.#sandbox);
  }

  loadStorages(): readonly StorageRecord[] {
    return loadState<readonly StorageRecord[]>(this.#storages) ?? [];
  }

  /** None: no file. */
  saveStorages(records: readonly StorageRecord[]): void {
    if (records.length === 0) removeState(this.#storages);
    else saveState(this.#storages, records);
  }

  /** An identifier is a safe file name (S8). */
  #file(id: string): string {
    return join(this.#containers, `${id}${recordSuffix}`);
  }
}

const recordSuffix = '.json';
