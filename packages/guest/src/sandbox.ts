import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreateSandbox } from './actions.js';
import type { Container } from './container/container.js';
import type { FromSandbox } from './container/create-container.js';
import type { GuestContext } from './container/guest-context.js';
import { checkContainerId, checkHostname } from './container/identifiers.js';
import { UndoStack } from './container/undo-stack.js';
import { GuestError } from './guest-error.js';
import { loadKernelModules } from './kernel-modules.js';
import { removeTree } from './storage/remove-tree.js';

/** The pod: what its containers share. There is one in a guest. */
export class Sandbox {
  readonly #context: GuestContext;
  readonly #made: UndoStack = new UndoStack();
  #created = false;
  #id = '';
  #hostname = '';
  #resolvConf: string | undefined;
  /** Whose namespaces the others join: the first that was made. */
  #first: Container | undefined;

  constructor(context: GuestContext) {
    this.#context = context;
  }

  /** Empty: there is none, or it has no id. */
  get id(): string {
    return this.#id;
  }

  /** What a failed create made is taken back; then it can be tried again. */
  async create(action: CreateSandbox): Promise<void> {
    if (this.#created) throw new GuestError('exists', 'the sandbox was created before; destroy it first');
    if (action.sandboxId !== '') checkContainerId(action.sandboxId);
    checkHostname(action.hostname);
    this.#checkHookPath(action.guestHookPath ?? '');
    try {
      this.#clear('shared');
      await loadKernelModules(action.kernelModules ?? []);
      for (const storage of action.storages) {
        await this.#context.storages.add(storage, { kind: 'sandbox' }, this.#made);
      }
      this.#resolvConf = this.#writeResolvConf(action.dns);
      this.#hostname = action.hostname;
      this.#id = action.sandboxId;
      this.#created = true;
    } catch (error) {
      await this.#unwind();
      this.#clear('shared');
      throw error;
    }
  }

  /** What the next container gets from here. */
  share(sandboxPidns: boolean): Omit<FromSandbox, 'find'> {
    const first = this.#first;
    const alive = first !== undefined && !first.first.ended;
    if (sandboxPidns && first !== undefined && !alive) {
      throw new GuestError(
        'precondition',
        `the pid namespace cannot be shared: container ${first.id}, which holds it, has ended`,
      );
    }
    const path = (type: 'pid' | 'ipc' | 'uts'): string | undefined =>
      alive && first.namespaces.has(type)
        ? join(this.#context.paths.proc, `${first.first.pid}/ns/${type}`)
        : undefined;
    return {
      hostname: this.#hostname,
      resolvConf: this.#resolvConf,
      shared: { pid: sandboxPidns ? path('pid') : undefined, ipc: path('ipc'), uts: path('uts') },
    };
  }

  /** Call with each container that was made. */
  joined(container: Container): void {
    this.#first ??= container;
  }

  /** Its containers are gone; now what they shared goes. */
  async destroy(): Promise<void> {
    this.#created = false;
    this.#id = '';
    this.#hostname = '';
    this.#resolvConf = undefined;
    this.#first = undefined;
    const failures = await this.#unwind();
    this.#clear();
    const [first] = failures;
    if (first !== undefined)
      throw new GuestError('internal', `destroyed, but: ${first.message}`, { cause: first });
  }

  async #unwind(): Promise<readonly Error[]> {
    const { swap, storages } = this.#context;
    const failures = [...swap.release(), ...(await this.#made.unwind()), ...(await storages.clear())];
    for (const { message } of failures) this.#context.log('error', message);
    return failures;
  }

  #checkHookPath(path: string): void {
    if (path === '') return;
    if (this.#context.hooks === 'refuse') {
      throw new GuestError(
        'refused',
        `guest_hook_path ${JSON.stringify(path)} is refused; hooks = "allow" permits it`,
      );
    }
    throw new GuestError('unimplemented', 'guest_hook_path is not built yet');
  }

  /**
   * A new sandbox finds Kata's directory empty, but for what CopyFile may have brought to `shared` before; a destroyed
   * one leaves it empty. What is mounted by others, as a shared file system, is not ours to remove.
   */
  #clear(keep?: string): void {
    const { paths, log } = this.#context;
    mkdirSync(paths.kata, { recursive: true, mode: 0o755 });
    for (const name of readdirSync(paths.kata)) {
      if (name === keep) continue;
      try {
        removeTree(join(paths.kata, name));
      } catch (error) {
        log('warn', String(error));
      }
    }
  }

  #writeResolvConf(dns: readonly string[]): string | undefined {
    if (dns.length === 0) return undefined;
    const directory = join(this.#context.paths.kata, 'sandbox');
    const file = join(directory, 'resolv.conf');
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    writeFileSync(file, `${dns.map((line) => line.trim()).join('\n')}\n`, { mode: 0o644 });
    return file;
  }
}
