import type { ContainerFacts } from '../actions.js';
import type { CgroupPaths } from '../cgroup/cgroup-paths.js';
import { GuestError } from '../guest-error.js';
import type { DeviceNumber } from '../device/device-number.js';
import type { ContainerProcess } from './container-process.js';
import type { UsedSource } from '../source/other-containers.js';
import { checkExecId } from './identifiers.js';
import type { PinnedNamespaces } from './pinned-namespaces.js';
import type { UndoStack } from './undo-stack.js';

/** How far a container has come. That its first process has ended is the process's own matter. */
type ContainerState = 'created' | 'started' | 'paused';

interface Parts {
  readonly id: string;
  /** Containers are counted in the order in which they are made. */
  readonly order: number;
  /** Mount points of the storages that it uses. */
  readonly storages: readonly string[];
  /** All that its root, its mounts and its storages were made of. */
  readonly sources: readonly UsedSource[];
  /** Clean paths of all that its root was made of, as the request named it. */
  readonly roots: readonly string[];
  readonly first: ContainerProcess;
  readonly cgroup: CgroupPaths;
  /** The types of namespace that it does not share with the guest. */
  readonly namespaces: ReadonlySet<string>;
  /** All that was made for it, to be taken back. */
  readonly made: UndoStack;
  /** Of the spec that the host asked for. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The CPUs that it may run on, as `0-3,8`; empty: all. */
  readonly cpus: string;
  /** Where in the guest its termination message is written; undefined: Kubernetes gave it no file. */
  readonly terminationLog: string | undefined;
  /** What runs in it gains no privileges by what it executes. */
  readonly noNewPrivileges: boolean;
  readonly pinned: PinnedNamespaces;
  /** The disks that it has as devices. */
  readonly disks: readonly DeviceNumber[];
}

/** A container that the runtime has made: its processes, where it is accounted for, and how it is taken down. */
export class Container {
  readonly id: string;
  readonly order: number;
  readonly storages: readonly string[];
  readonly sources: readonly UsedSource[];
  readonly roots: readonly string[];
  readonly first: ContainerProcess;
  readonly cgroup: CgroupPaths;
  readonly namespaces: ReadonlySet<string>;
  readonly made: UndoStack;
  readonly annotations: Readonly<Record<string, string>>;
  /** As the host asked last, by CreateContainer or UpdateContainer. */
  cpus: string;
  readonly terminationLog: string | undefined;
  readonly noNewPrivileges: boolean;
  /** The namespaces that an exec has to join. */
  readonly pinned: PinnedNamespaces;
  readonly disks: readonly DeviceNumber[];
  state: ContainerState = 'created';
  removing = false;
  /** Call it when anything changes that its record holds. */
  changed: () => void = () => undefined;
  readonly #execs: Map<string, ContainerProcess> = new Map();

  constructor(parts: Parts) {
    const { id, order, storages, sources, first, cgroup, namespaces, made } = parts;
    const { roots, annotations, cpus, terminationLog, noNewPrivileges, pinned, disks } = parts;
    this.id = id;
    this.order = order;
    this.storages = storages;
    this.sources = sources;
    this.roots = roots;
    this.first = first;
    this.cgroup = cgroup;
    this.namespaces = namespaces;
    this.made = made;
    this.annotations = annotations;
    this.cpus = cpus;
    this.terminationLog = terminationLog;
    this.noNewPrivileges = noNewPrivileges;
    this.pinned = pinned;
    this.disks = disks;
    first.changed = () => this.changed();
  }

  /** All its processes have ended. From here on its record says only that it is being taken back. */
  beginRemoval(): void {
    this.removing = true;
    this.changed();
    this.changed = () => undefined;
  }

  get facts(): ContainerFacts {
    const { annotations } = this;
    const alive = this.state === 'started' ? 'running' : this.state;
    return { state: this.first.ended ? 'stopped' : alive, annotations };
  }

  /** `execId` empty or the container's own id: its first process. */
  isFirst(execId: string): boolean {
    return execId === '' || execId === this.id;
  }

  find(execId: string): ContainerProcess | undefined {
    return this.isFirst(execId) ? this.first : this.#execs.get(execId);
  }

  /** Throws `not-found`, in words that both of Kata's runtimes know. */
  process(execId: string): ContainerProcess {
    const found = this.find(execId);
    if (found !== undefined) return found;
    throw new GuestError(
      'not-found',
      `process not found: container ${this.id} has no process ${JSON.stringify(execId.slice(0, 150))}`,
    );
  }

  get execs(): ReadonlyMap<string, ContainerProcess> {
    return this.#execs;
  }

  get processes(): readonly ContainerProcess[] {
    return [this.first, ...this.#execs.values()];
  }

  /**
   * Makes room for one more exec, or throws: its id is in use, or there are `limit` of them that run or that nobody
   * waited for. Those that are over and done with are forgotten, the oldest first.
   */
  makeRoom(execId: string, limit: number): void {
    checkExecId(execId);
    const previous = this.#execs.get(execId);
    if (this.isFirst(execId) || (previous !== undefined && !previous.forgettable)) {
      throw new GuestError('exists', `container ${this.id} already has a process ${execId}`);
    }
    if (previous !== undefined) this.#forget(execId, previous);
    for (const [id, process] of this.#execs) {
      if (this.#execs.size < limit) return;
      if (process.forgettable) this.#forget(id, process);
    }
    if (this.#execs.size >= limit) {
      throw new GuestError(
        'exhausted',
        `container ${this.id} has ${limit} processes that run or were not waited for (limits.execs_per_container)`,
      );
    }
  }

  addExec(execId: string, process: ContainerProcess): void {
    this.#execs.set(execId, process);
    process.changed = () => this.changed();
    this.changed();
  }

  #forget(execId: string, process: ContainerProcess): void {
    process.streams.end();
    this.#execs.delete(execId);
  }
}
