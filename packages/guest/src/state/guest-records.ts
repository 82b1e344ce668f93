import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { OciHooks } from '../oci-spec.js';
import type { RemovedContainer, RemovedPlaces } from '../removed-containers.js';
import type { StorageRecord } from '../storage/storage-record.js';
import type { ContainerRecord } from './container-record.js';
import { StateFile } from './state-file.js';

/** The sandbox, from the first step of its making to the last of its end. */
export interface SandboxRecord {
  /** `making` and `destroying`: what there is of it is to be taken down. */
  readonly phase: 'making' | 'made' | 'destroying';
  readonly id: string;
  readonly hostname: string;
  /** Its resolv.conf; absent: it has none. */
  readonly resolvConf?: string;
  /** Of the guest's image; absent: none were asked for. */
  readonly hooks?: OciHooks;
  /** Mount points of its own storages. */
  readonly storages: readonly string[];
  /** Containers that were removed. */
  readonly removed?: readonly RemovedContainer[];
  /** What containers that were removed wrote to. */
  readonly removedPlaces?: readonly RemovedPlaces[];
  /** The id of the container whose namespaces the others join; absent: there was none yet. */
  readonly first?: string;
}

/**
 * What the next agent has to know when this one is killed (S20; docs/adr/0012-what-outlives-the-agent.md). Each record
 * is written before the step after which it is needed, and removed after the last step that takes things back.
 */
export class GuestRecords {
  readonly #containers: string;
  readonly #sandbox: StateFile<SandboxRecord>;
  readonly #storages: StateFile<readonly StorageRecord[]>;
  #order = 0;

  /** `state`: our state directory. */
  constructor(state: string) {
    this.#containers = join(state, 'containers');
    this.#sandbox = new StateFile(join(state, 'sandbox.json'));
    this.#storages = new StateFile(join(state, 'storages.json'));
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
      const file = new StateFile<ContainerRecord>(join(this.#containers, name));
      const record = name.endsWith(suffix) ? file.load() : undefined;
      if (record === undefined) file.remove();
      else records.push(record);
    }
    records.sort((a, b) => a.order - b.order);
    this.#order = Math.max(this.#order, records.at(-1)?.order ?? 0);
    return records;
  }

  saveContainer(record: ContainerRecord): void {
    this.#file(record.id).save(record);
  }

  removeContainer(id: string): void {
    this.#file(id).remove();
  }

  loadSandbox(): SandboxRecord | undefined {
    return this.#sandbox.load();
  }

  saveSandbox(record: SandboxRecord): void {
    this.#sandbox.save(record);
  }

  removeSandbox(): void {
    this.#sandbox.remove();
  }

  loadStorages(): readonly StorageRecord[] {
    return this.#storages.load() ?? [];
  }

  /** None: no file. */
  saveStorages(records: readonly StorageRecord[]): void {
    if (records.length === 0) this.#storages.remove();
    else this.#storages.save(records);
  }

  /** An identifier is a safe file name (S8). */
  #file(id: string): StateFile<ContainerRecord> {
    return new StateFile(join(this.#containers, `${id}${suffix}`));
  }
}

/** A name without it is that of a file that was being written. */
const suffix = '.json';
