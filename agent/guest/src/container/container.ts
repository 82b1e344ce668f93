import type { ContainerStatus, MountStatus } from '../request/actions.js';
import type { OciCapabilities, OciRlimit } from '../request/oci-spec.js';
import type { CgroupPaths } from '../cgroup/cgroup-paths.js';
import { GuestError } from '../guest-error.js';
import type { DeviceNumber } from '../device/device-number.js';
import type { PciAddresses } from '../device/pci-environment.js';
import type { ContainerProcess } from './container-process.js';
import type { UsedSource } from '../source/place-owner.js';
import { checkExecId } from '../request/identifiers.js';
import type { PinnedNamespaces } from './pinned-namespaces.js';
import type { UndoStack } from '../undo-stack.js';
import { quotedName } from '../quoted.js';

/** Of the places, this part is for callers whose share does not count: Kata's runtime. */
const reservedPart = 8;

/** The container's status. Whether its first process has ended is recorded in the process. */
type ContainerState = 'created' | 'started' | 'paused';

interface Parts {
  readonly id: string;
  /** Sequence number, in order of creation. */
  readonly order: number;
  /** Mount points of the storages that it uses. */
  readonly storages: readonly string[];
  /** The sources of its root, mounts and storages. */
  readonly sources: readonly UsedSource[];
  /** Clean paths of the root's sources, as the request named them. */
  readonly roots: readonly string[];
  readonly first: ContainerProcess;
  readonly cgroup: CgroupPaths;
  /** The types of its own namespaces, not shared with the guest. */
  readonly namespaces: ReadonlySet<string>;
  /** The steps that undo its creation. */
  readonly made: UndoStack;
  /** Annotations of the request's spec. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The request's mounts from Kata's directory. */
  readonly mounts: readonly MountStatus[];
  /** The CPUs that it may run on, as `0-3,8`; empty: all. */
  readonly cpus: string;
  /** Path in the guest of its termination message; undefined: Kubernetes set none. */
  readonly terminationLog: string | undefined;
  /** Whether its processes have no_new_privs: execve grants them no privileges. */
  readonly noNewPrivileges: boolean;
  /** Capabilities and resource limits of its first process: defaults of its execs. */
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly OciRlimit[];
  readonly pinned: PinnedNamespaces;
  /** The disks that it has as devices. */
  readonly disks: readonly DeviceNumber[];
  /** The addresses of the PCI devices that it drives through VFIO. */
  readonly pciDevices: readonly string[];
  /** For the variables of its processes. */
  readonly pciAddresses: PciAddresses;
}

/** A created container: its processes, its accounting, and its removal. */
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
  readonly mounts: readonly MountStatus[];
  /** Resources from the last CreateContainer or UpdateContainer. */
  cpus: string;
  readonly terminationLog: string | undefined;
  readonly noNewPrivileges: boolean;
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly OciRlimit[];
  /** The namespaces that an exec joins. */
  readonly pinned: PinnedNamespaces;
  readonly disks: readonly DeviceNumber[];
  readonly pciDevices: readonly string[];
  readonly pciAddresses: PciAddresses;
  state: ContainerState = 'created';
  removing = false;
  /** Saves its state. Called after each change of a saved member. */
  changed: () => void = () => undefined;
  readonly #execs: Map<string, ContainerProcess> = new Map();
  /** Whose share an exec is of. Not saved: after a restart of the agent it is of nobody's. */
  readonly #callers = new WeakMap<ContainerProcess, string>();

  constructor(parts: Parts) {
    const { id, order, storages, sources, first, cgroup, namespaces, made } = parts;
    const { roots, annotations, cpus, terminationLog, noNewPrivileges, pinned, disks } = parts;
    const { capabilities, rlimits } = parts;
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
    this.mounts = parts.mounts;
    this.cpus = cpus;
    this.terminationLog = terminationLog;
    this.noNewPrivileges = noNewPrivileges;
    this.capabilities = capabilities;
    this.rlimits = rlimits;
    this.pinned = pinned;
    this.disks = disks;
    this.pciDevices = parts.pciDevices;
    this.pciAddresses = parts.pciAddresses;
    first.changed = () => this.changed();
  }

  /** Called when all its processes have ended. Its state file marks it as being removed from now on. */
  beginRemoval(): void {
    this.removing = true;
    this.changed();
    this.changed = () => undefined;
  }

  get facts(): ContainerStatus {
    const { annotations, mounts } = this;
    const alive = this.state === 'started' ? 'running' : this.state;
    return { state: this.first.ended ? 'stopped' : alive, annotations, mounts };
  }

  /** Reports whether an exec id names the first process: it is empty or the container's id. */
  isFirst(execId: string): boolean {
    return execId === '' || execId === this.id;
  }

  find(execId: string): ContainerProcess | undefined {
    return this.isFirst(execId) ? this.first : this.#execs.get(execId);
  }

  /** Throws `not-found`, with the text that both of Kata's runtimes look for. */
  process(execId: string): ContainerProcess {
    const found = this.find(execId);
    if (found !== undefined) return found;
    throw new GuestError(
      'not-found',
      `process not found: container ${this.id} has no process ${quotedName(execId)}`,
    );
  }

  get execs(): ReadonlyMap<string, ContainerProcess> {
    return this.#execs;
  }

  get processes(): readonly ContainerProcess[] {
    return [this.first, ...this.#execs.values()];
  }

  /**
   * Makes room for one more exec, or throws: its id is in use, or there are `limit` execs that run or whose exit code
   * was not delivered, or the caller has its share of them. Forgets those that are done, oldest first.
   */
  makeRoom(execId: string, limit: number, caller: string | undefined): void {
    checkExecId(execId);
    const previous = this.#execs.get(execId);
    if (this.isFirst(execId) || (previous !== undefined && !previous.forgettable)) {
      throw new GuestError('exists', `container ${this.id} already has a process ${execId}`);
    }
    if (previous !== undefined) this.#forget(execId, previous);
    for (const [id, process] of this.#execs) {
      if (this.#execs.size < limit) break;
      if (process.forgettable) this.#forget(id, process);
    }
    if (caller !== undefined) this.#checkShare(limit, caller);
    if (this.#execs.size >= limit) {
      throw new GuestError(
        'exhausted',
        `container ${this.id} has ${limit} processes that run or were not waited for (limits.execs_per_container)`,
      );
    }
  }

  addExec(execId: string, process: ContainerProcess, caller?: string): void {
    this.#execs.set(execId, process);
    if (caller !== undefined) this.#callers.set(process, caller);
    process.changed = () => this.changed();
    this.changed();
  }

  /** Throws if the caller has its share of the places: others are to find some. */
  #checkShare(limit: number, caller: string): void {
    const held = this.processes.filter((process) => process !== this.first && !process.forgettable);
    const own = held.filter((process) => this.#callers.get(process) === caller).length;
    if (hasShare({ limit, taken: held.length, own })) return;
    throw new GuestError(
      'exhausted',
      `this caller has ${own} of the ${held.length} processes of container ${this.id} that run or were not waited for, of at most ${limit} (limits.execs_per_container), and the free places are for others; help: wait for processes that have ended, or end some`,
    );
  }

  #forget(execId: string, process: ContainerProcess): void {
    process.streams.end();
    this.#execs.delete(execId);
  }
}

/** The places of a container for processes of ExecProcess. */
interface ExecSlots {
  readonly limit: number;
  /** Of all callers. */
  readonly taken: number;
  /** Of the caller that wants one more. */
  readonly own: number;
}

/**
 * Reports whether one of several callers may take a place more. It must have fewer than are free, so that each next caller finds some
 * whatever the others take: of 32 the first has up to 14, and the next one 7. Nobody loses a process that it has.
 */
export function hasShare({ limit, taken, own }: ExecSlots): boolean {
  return own < limit - taken - Math.floor(limit / reservedPart);
}
