import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, type Syscalls } from '@kata-agent/linux';
import type { CreateSandbox } from '../request/actions.js';
import type { Container } from '../container/container.js';
import type { NamesOf } from '../container/share-mounts.js';
import type { HostAliases } from '../content/checked-files.js';
import type { GuestLog } from '../guest-log.js';
import { findGuestHooks, type HookSetting } from '../guest-hooks.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { MemoryWatch } from '../resource/online.js';
import type { SwapDevices } from '../resource/swap.js';
import type { PodSources } from '../source/pod-sources.js';
import { RemovedPlaces } from '../source/removed-places.js';
import type { StorageTable } from '../storage/storage-table.js';
import type { FromSandbox } from '../create/creation.js';
import { checkContainerId, checkHostname } from '../request/identifiers.js';
import { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import { clearKataDirectory } from './kata-directory.js';
import { PersistentNamespaces } from './persistent-namespaces.js';
import { loadKernelModules } from './kernel-modules.js';
import { checkResolvConf } from '../content/believed-files.js';
import { removeResolvConf, resolvConfText, writeResolvConf } from './resolv-conf.js';
import type { OciHooks } from '../request/oci-spec.js';
import {
  mountsOfKept,
  remembered,
  type RemovedContainer,
  type SavedSandbox,
  type SavedState,
  ownSourcesOf,
} from '../state/saved-state.js';
import type { SharedUserNamespace } from '../spec/namespaces.js';
import { mappingsOfProcess } from '../container/process-status.js';
import type { FinishedContainer } from '../state/saved-container.js';

/** Values that all containers of the pod share. */
type PodPart = Pick<FromSandbox, 'hostname' | 'resolvConf' | 'shared' | 'hooks'>;

/** The parts of the guest that the sandbox uses. */
export interface SandboxServices {
  readonly paths: GuestPaths;
  readonly hooks: HookSetting;
  /** Undefined: the content of resolv.conf is not checked. */
  readonly hostAliases: HostAliases | undefined;
  readonly namesOf: NamesOf;
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly log: GuestLog;
  readonly memory: MemoryWatch;
  readonly swap: SwapDevices;
  readonly storages: StorageTable;
  readonly podSources: PodSources;
  readonly records: SavedState;
}

/** The pod: the state that its containers share. A guest has one. */
export class Sandbox {
  readonly #context: SandboxServices;
  readonly #made: UndoStack = new UndoStack();
  readonly #namespaces: PersistentNamespaces;
  #created = false;
  #id = '';
  #hostname = '';
  #resolvConf: string | undefined;
  #storages: readonly string[] = [];
  #removed: readonly RemovedContainer[] = [];
  /** The ids of removed containers, and their places: volumes that were copied for one, and that it wrote to, are named after it (S38). */
  readonly removedPlaces: RemovedPlaces;
  /** The OCI hooks of the guest image. */
  #hooks: OciHooks | undefined;
  /** The first container, whose pid namespace others can join. Without `container`: it was removed before a restart. */
  #first: { readonly id: string; readonly container?: Container } | undefined;

  /** Resolves when the creation of the first container has succeeded or failed. */
  #firstInTheMaking: Promise<void> | undefined;

  constructor(context: SandboxServices) {
    this.#context = context;
    this.#namespaces = new PersistentNamespaces(context);
    this.removedPlaces = new RemovedPlaces(context.paths.kata);
  }

  /** Empty: there is no sandbox, or it has no id. */
  get id(): string {
    return this.#id;
  }

  /** Removed containers, oldest first. */
  get removed(): readonly RemovedContainer[] {
    return this.#removed;
  }

  /** Reports whether it is the container whose process namespace others can share. */
  isFirst(id: string): boolean {
    return this.#first?.id === id;
  }

  /** Records a container that is being removed. Called once its processes have ended. */
  left(container: Pick<Container, 'id' | 'sources' | 'annotations' | 'mounts' | 'first'>): void {
    const { namesOf, storages } = this.#context;
    this.#removed = remembered(this.#removed, {
      name: namesOf(container.annotations).inPod,
      exitCode: container.first.ownCode,
      mounts: mountsOfKept(container.mounts, storages.retainedMountPoints()),
    });
    const owner = ownSourcesOf(container);
    this.removedPlaces.add(owner);
    try {
      if (!this.#created) return;
      this.#context.records.addRemoved(owner);
      this.#save('made');
    } catch (error) {
      this.#context.log('error', `the state file of the sandbox cannot be written: ${String(error)}`);
    }
  }

  /** Throws for a `create` that is known to fail: rules see which containers the pod had, also when they are removed. */
  admit({ sandboxId, hostname, dns }: CreateSandbox): void {
    if (this.#created && this.#removed.length > 0)
      throw new GuestError(
        'exists',
        'the sandbox exists already, and had containers; help: destroy it first',
      );
    if (sandboxId !== '') checkContainerId(sandboxId);
    checkHostname(hostname);
    if (this.#context.hostAliases !== undefined) checkResolvConf(Buffer.from(resolvConfText(dns)));
  }

  /**
   * Creates the sandbox, after `admit`. It replaces one that never had a container, as with Kata's agent. A failed create
   * is rolled back, and can be tried again.
   */
  async create(action: CreateSandbox): Promise<void> {
    if (this.#created) {
      await this.#unwind();
      this.#forget();
    }
    this.#hooks = this.#findHooks(action.guestHookPath ?? '');
    try {
      this.#storages = action.storages.map(({ mountPoint }) => mountPoint);
      this.#save('creating');
      await clearKataDirectory(this.#context, 'shared');
      await loadKernelModules(action.kernelModules ?? []);
      for (const storage of action.storages) {
        await this.#context.storages.add(storage, { kind: 'sandbox' }, this.#made);
      }
      this.#resolvConf = writeResolvConf(action.dns, this.#context.paths);
      this.#hostname = action.hostname;
      this.#id = action.sandboxId;
      this.#save('made');
      this.#context.records.openRemoved();
      this.#created = true;
    } catch (error) {
      await this.#unwind();
      await clearKataDirectory(this.#context, 'shared');
      this.#forget();
      throw error;
    }
  }

  /**
   * Restores the sandbox of an earlier agent, once its storages and containers are restored. A sandbox that was still
   * being created, or already destroyed, is dropped. `lost`: containers that were not restored.
   */
  async restore(
    record: SavedSandbox | undefined,
    containers: readonly Container[],
    lost: readonly FinishedContainer[],
  ): Promise<void> {
    const [oldest] = containers;
    if (record?.phase !== 'made') {
      if (record !== undefined)
        await clearKataDirectory(this.#context, record.phase === 'creating' ? 'shared' : undefined);
      this.#namespaces.release();
      this.#forget();
      this.#context.records.clearRemoved();
      if (oldest !== undefined) this.#first = { id: oldest.id, container: oldest };
      return;
    }
    this.#created = true;
    this.#namespaces.restore();
    this.#id = record.id;
    this.#hostname = record.hostname;
    this.#resolvConf = record.resolvConf;
    this.#hooks = record.hooks;
    this.#storages = record.storages;
    this.#removed = lost.reduce(
      (removed, { annotations, mounts, first }) =>
        remembered(removed, {
          name: this.#context.namesOf(annotations).inPod,
          exitCode: first.signalled === true ? undefined : first.exit,
          mounts: mountsOfKept(mounts, this.#context.storages.retainedMountPoints()),
        }),
      record.removed,
    );
    for (const owner of this.#context.records.loadRemoved()) this.removedPlaces.add(owner);
    for (const owner of lost.map(ownSourcesOf)) {
      this.removedPlaces.add(owner);
      this.#context.records.addRemoved(owner);
    }
    for (const mountPoint of record.storages) this.#context.storages.use(mountPoint, this.#made);
    // Without `record.first` the agent was killed after the first container was created and before that was saved: the
    // oldest container is the first.
    const id = record.first ?? oldest?.id;
    const container = containers.find((each) => each.id === id);
    if (id !== undefined) this.#first = container === undefined ? { id } : { id, container };
  }

  /**
   * Creates a container that shares the sandbox's namespaces. Containers are created concurrently, but for the first:
   * the others join its namespaces, so they wait until its creation has succeeded or failed.
   */
  async join(sandboxPidns: boolean, make: (from: PodPart) => Promise<Container>): Promise<Container> {
    while (this.#first === undefined && this.#firstInTheMaking !== undefined) await this.#firstInTheMaking;
    const held: number[] = [];
    const made = this.#make(sandboxPidns, held, make).finally(() => {
      for (const fd of held) closeSync(fd);
    });
    if (this.#first !== undefined) return made;
    const over = made.then(
      () => undefined,
      () => undefined,
    );
    this.#firstInTheMaking = over;
    try {
      return await made;
    } finally {
      this.#firstInTheMaking = undefined;
    }
  }

  async #make(
    sandboxPidns: boolean,
    held: number[],
    make: (from: PodPart) => Promise<Container>,
  ): Promise<Container> {
    const container = await make(this.#share(sandboxPidns, held));
    this.#joined(container);
    return container;
  }

  /**
   * Returns the sandbox's values for the next container. A namespace that only the first container's process has is held
   * open: that may end before the runtime joins it, and its pid may be reused.
   */
  #share(sandboxPidns: boolean, held: number[]): PodPart {
    const first = this.#first;
    const alive = first?.container?.first.ended === false ? first.container : undefined;
    const ended = (): GuestError =>
      new GuestError(
        'precondition',
        `the pid namespace cannot be shared: container ${first?.id ?? ''}, whose namespace it is, has ended`,
      );
    if (sandboxPidns && first !== undefined && alive === undefined) throw ended();
    const { proc } = this.#context.paths;
    const path = (type: 'pid' | 'ipc' | 'uts' | 'user'): string | undefined => {
      const kept = type === 'pid' ? undefined : this.#namespaces.path(type);
      if (kept !== undefined) return kept;
      if (alive?.namespaces.has(type) !== true) return undefined;
      try {
        const fd = openSync(join(proc, `${alive.first.pid}/ns/${type}`), 'r');
        held.push(fd);
        return join(proc, `${process.pid}/fd/${fd}`);
      } catch (error) {
        // It has ended, and SIGCHLD was not handled yet.
        if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
        if (type === 'pid') throw ended();
        return undefined;
      }
    };
    const user = (): SharedUserNamespace | undefined => {
      const kept = this.#namespaces.user();
      if (kept !== undefined || alive === undefined) return kept;
      const found = path('user');
      if (found === undefined) return undefined;
      return { path: found, mappings: mappingsOfProcess(alive.first.pid, proc) };
    };
    const pid = sandboxPidns ? path('pid') : undefined;
    return {
      hostname: this.#hostname,
      resolvConf: this.#resolvConf,
      hooks: this.#hooks,
      shared: { pid, ipc: path('ipc'), uts: path('uts'), user: user() },
    };
  }

  #joined(container: Container): void {
    this.#keepNamespaces(container);
    if (this.#first !== undefined) return;
    this.#first = { id: container.id, container };
    try {
      if (this.#created) this.#save('made');
    } catch (error) {
      // The oldest remaining container then counts as the first, until it is removed.
      this.#context.log('error', `the state file of the sandbox cannot be written: ${String(error)}`);
    }
  }

  /** Without a sandbox nothing would release them. A failure leaves them to the containers that have them. */
  #keepNamespaces({ id, first, namespaces }: Container): void {
    if (!this.#created) return;
    try {
      this.#namespaces.keep({ pid: first.pid, namespaces });
    } catch (error) {
      const message = `the namespaces of the pod will end with container ${id}: ${String(error)}`;
      this.#context.log('warn', message, { container: id });
    }
  }

  /** Marks the sandbox as being destroyed: after a restart, the rest of it is removed. */
  beginEnd(): void {
    if (this.#created) this.#save('destroying');
  }

  /** Releases what the containers shared, after all of them were removed. */
  async destroy(): Promise<void> {
    const failures = await this.#unwind();
    await clearKataDirectory(this.#context);
    this.#forget();
    this.#removed = [];
    this.removedPlaces.clear();
    this.#context.records.clearRemoved();
    const [first] = failures;
    if (first !== undefined)
      throw new GuestError('internal', `destroyed, but: ${first.message}`, { cause: first });
  }

  /**
   * Keeps the removed containers: a creation that fails must not make rules forget them (S35), and the files that they
   * wrote are still there (S29).
   */
  #forget(): void {
    this.#created = false;
    this.#id = '';
    this.#hostname = '';
    this.#resolvConf = undefined;
    this.#hooks = undefined;
    this.#storages = [];
    this.#first = undefined;
    this.#context.records.removeSandbox();
  }

  #save(phase: SavedSandbox['phase']): void {
    const resolvConf = this.#resolvConf === undefined ? {} : { resolvConf: this.#resolvConf };
    const hooks = this.#hooks === undefined ? {} : { hooks: this.#hooks };
    const first = this.#first === undefined ? {} : { first: this.#first.id };
    this.#context.records.saveSandbox({
      phase,
      id: this.#id,
      hostname: this.#hostname,
      ...resolvConf,
      ...hooks,
      storages: this.#storages,
      removed: this.#removed,
      ...first,
    });
  }

  async #unwind(): Promise<readonly Error[]> {
    const { memory, swap, storages, podSources, paths } = this.#context;
    memory.stop();
    this.#made.push('sources with mount propagation', () => podSources.clear());
    this.#made.push('namespaces', () => this.#namespaces.release());
    this.#made.push('resolv.conf', () => removeResolvConf(paths));
    const failures = [...(await swap.release()), ...(await this.#made.unwind()), ...(await storages.clear())];
    for (const { message } of failures) this.#context.log('error', message);
    return failures;
  }

  #findHooks(path: string): OciHooks | undefined {
    if (path === '') return undefined;
    const { hooks, paths, log } = this.#context;
    if (hooks === 'allow') return findGuestHooks(path, paths, log);
    throw new GuestError(
      'refused',
      `guest_hook_path ${JSON.stringify(path)} is refused; help: set hooks = "allow"`,
    );
  }
}
