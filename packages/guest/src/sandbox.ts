import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { CreateSandbox } from './actions.js';
import type { Container } from './container/container.js';
import type { FromSandbox } from './container/create-container.js';
import type { GuestContext } from './container/guest-context.js';
import { checkContainerId, checkHostname } from './container/identifiers.js';
import { UndoStack } from './container/undo-stack.js';
import { GuestError } from './guest-error.js';
import { findGuestHooks } from './hooks/guest-hooks.js';
import { loadKernelModules } from './kernel-modules.js';
import type { OciHooks } from './oci-spec.js';
import { remembered, type RemovedContainer, type RemovedPlaces, withPlaces } from './removed-containers.js';
import type { FinishedContainer } from './state/container-record.js';
import type { SandboxRecord } from './state/guest-records.js';
import { removeTree } from './storage/remove-tree.js';

/** What all containers of the pod get. */
type PodPart = Pick<FromSandbox, 'hostname' | 'resolvConf' | 'shared' | 'hooks'>;

/** The pod: what its containers share. There is one in a guest. */
export class Sandbox {
  readonly #context: GuestContext;
  readonly #made: UndoStack = new UndoStack();
  #created = false;
  #id = '';
  #hostname = '';
  #resolvConf: string | undefined;
  #storages: readonly string[] = [];
  #removed: readonly RemovedContainer[] = [];
  #removedPlaces: readonly RemovedPlaces[] = [];
  /** Those of the guest's image. */
  #hooks: OciHooks | undefined;
  /** Whose namespaces the others join: the first that was made. Without `container`: it was removed before a restart. */
  #first: { readonly id: string; readonly container?: Container } | undefined;

  /** Resolves when it is made, or is not. */
  #firstInTheMaking: Promise<void> | undefined;

  constructor(context: GuestContext) {
    this.#context = context;
  }

  /** Empty: there is none, or it has no id. */
  get id(): string {
    return this.#id;
  }

  /** Containers that were removed, the oldest first. */
  get removed(): readonly RemovedContainer[] {
    return this.#removed;
  }

  /** What containers that were removed wrote to, where nobody else has been given it. */
  get removedPlaces(): readonly RemovedPlaces[] {
    return this.#removedPlaces;
  }

  /** Call with each container that is being removed, once its processes have ended. */
  left(container: Pick<Container, 'id' | 'sources' | 'annotations' | 'first'>): void {
    this.#removed = remembered(this.#removed, container.annotations, container.first.code);
    this.#removedPlaces = withPlaces(this.#removedPlaces, container);
    try {
      if (this.#created) this.#save('made');
    } catch (error) {
      this.#context.log('error', `the record of the sandbox cannot be written: ${String(error)}`);
    }
  }

  /** Throws what stands against `create`, as far as can be told before it. */
  admit({ sandboxId, hostname }: CreateSandbox): void {
    if (this.#created) throw new GuestError('exists', 'the sandbox was created before; destroy it first');
    if (sandboxId !== '') checkContainerId(sandboxId);
    checkHostname(hostname);
  }

  /** For what `admit` lets through. What a failed create made is taken back; then it can be tried again. */
  async create(action: CreateSandbox): Promise<void> {
    this.#hooks = this.#findHooks(action.guestHookPath ?? '');
    try {
      this.#storages = action.storages.map(({ mountPoint }) => mountPoint);
      this.#save('making');
      await this.#clear('shared');
      await loadKernelModules(action.kernelModules ?? []);
      for (const storage of action.storages) {
        await this.#context.storages.add(storage, { kind: 'sandbox' }, this.#made);
      }
      this.#resolvConf = this.#writeResolvConf(action.dns);
      this.#hostname = action.hostname;
      this.#id = action.sandboxId;
      this.#save('made');
      this.#created = true;
    } catch (error) {
      await this.#unwind();
      await this.#clear('shared');
      this.#forget();
      throw error;
    }
  }

  /**
   * Goes on with what an earlier agent had made, once its storages and containers are there again. A sandbox that it was
   * still making, or already destroying, is none. `lost`: containers that are not gone on with.
   */
  async restore(
    record: SandboxRecord | undefined,
    containers: readonly Container[],
    lost: readonly FinishedContainer[],
  ): Promise<void> {
    const [oldest] = containers;
    if (record?.phase !== 'made') {
      if (record !== undefined) await this.#clear(record.phase === 'making' ? 'shared' : undefined);
      this.#forget();
      if (oldest !== undefined) this.#first = { id: oldest.id, container: oldest };
      return;
    }
    this.#created = true;
    this.#id = record.id;
    this.#hostname = record.hostname;
    this.#resolvConf = record.resolvConf;
    this.#hooks = record.hooks;
    this.#storages = record.storages;
    this.#removed = lost.reduce(
      (removed, { annotations, first }) => remembered(removed, annotations, first.exit),
      record.removed ?? [],
    );
    this.#removedPlaces = lost.reduce(withPlaces, record.removedPlaces ?? []);
    for (const mountPoint of record.storages) this.#context.storages.use(mountPoint, this.#made);
    // Killed between the first container and the record that names it: the oldest is the first.
    const id = record.first ?? oldest?.id;
    const container = containers.find((each) => each.id === id);
    if (id !== undefined) this.#first = container === undefined ? { id } : { id, container };
  }

  /**
   * Makes a container that shares what the sandbox has. Containers are made beside each other, but for the first: the others
   * join its namespaces, so they wait until it is there, or will not be.
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
   * What the next container gets from here. Its namespaces are held open: the process that has them may end before the
   * runtime joins them, and its pid be that of any other.
   */
  #share(sandboxPidns: boolean, held: number[]): PodPart {
    const first = this.#first;
    const alive = first?.container?.first.ended === false ? first.container : undefined;
    const ended = (): GuestError =>
      new GuestError(
        'precondition',
        `the pid namespace cannot be shared: container ${first?.id ?? ''}, which holds it, has ended`,
      );
    if (sandboxPidns && first !== undefined && alive === undefined) throw ended();
    const { proc } = this.#context.paths;
    const path = (type: 'pid' | 'ipc' | 'uts'): string | undefined => {
      if (alive?.namespaces.has(type) !== true) return undefined;
      try {
        const fd = openSync(join(proc, `${alive.first.pid}/ns/${type}`), 'r');
        held.push(fd);
        return join(proc, `${process.pid}/fd/${fd}`);
      } catch (error) {
        // It has ended, and its end was not heard of yet.
        if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
        if (type === 'pid') throw ended();
        return undefined;
      }
    };
    return {
      hostname: this.#hostname,
      resolvConf: this.#resolvConf,
      hooks: this.#hooks,
      shared: { pid: sandboxPidns ? path('pid') : undefined, ipc: path('ipc'), uts: path('uts') },
    };
  }

  #joined(container: Container): void {
    if (this.#first !== undefined) return;
    this.#first = { id: container.id, container };
    try {
      if (this.#created) this.#save('made');
    } catch (error) {
      // The oldest container is taken for the first then, which it is until it is removed.
      this.#context.log('error', `the record of the sandbox cannot be written: ${String(error)}`);
    }
  }

  /** From here on there is no way back: what is left of it after a restart is taken down. */
  beginEnd(): void {
    if (this.#created) this.#save('destroying');
  }

  /** Its containers are gone; now what they shared goes. */
  async destroy(): Promise<void> {
    const failures = await this.#unwind();
    await this.#clear();
    this.#forget();
    const [first] = failures;
    if (first !== undefined)
      throw new GuestError('internal', `destroyed, but: ${first.message}`, { cause: first });
  }

  #forget(): void {
    this.#created = false;
    this.#id = '';
    this.#hostname = '';
    this.#resolvConf = undefined;
    this.#hooks = undefined;
    this.#storages = [];
    this.#removed = [];
    this.#removedPlaces = [];
    this.#first = undefined;
    this.#context.records.removeSandbox();
  }

  #save(phase: SandboxRecord['phase']): void {
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
      removedPlaces: this.#removedPlaces,
      ...first,
    });
  }

  async #unwind(): Promise<readonly Error[]> {
    const { memory, swap, storages, podSources, paths } = this.#context;
    memory.stop();
    this.#made.push('sources that containers show each other', () => podSources.clear());
    this.#made.push('resolv.conf', () =>
      rmSync(join(paths.state, 'sandbox'), { recursive: true, force: true }),
    );
    const failures = [...swap.release(), ...(await this.#made.unwind()), ...(await storages.clear())];
    for (const { message } of failures) this.#context.log('error', message);
    return failures;
  }

  #findHooks(path: string): OciHooks | undefined {
    if (path === '') return undefined;
    const { hooks, paths, log } = this.#context;
    if (hooks === 'allow') return findGuestHooks(path, paths, log);
    throw new GuestError(
      'refused',
      `guest_hook_path ${JSON.stringify(path)} is refused; hooks = "allow" permits it`,
    );
  }

  /**
   * A new sandbox finds Kata's directory empty, but for what CopyFile may have brought to `shared` before; a destroyed
   * one leaves it empty. What is mounted by others, as a shared file system, is not ours to remove.
   */
  async #clear(keep?: string): Promise<void> {
    const { paths, log } = this.#context;
    mkdirSync(paths.kata, { recursive: true, mode: 0o755 });
    for (const name of readdirSync(paths.kata)) {
      if (name === keep) continue;
      try {
        await removeTree(join(paths.kata, name), this.#context);
      } catch (error) {
        log('warn', String(error));
      }
    }
  }

  #writeResolvConf(dns: readonly string[]): string | undefined {
    if (dns.length === 0) return undefined;
    const directory = join(this.#context.paths.state, 'sandbox');
    const file = join(directory, 'resolv.conf');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(file, `${dns.map((line) => line.trim()).join('\n')}\n`, { mode: 0o644 });
    return file;
  }
}
