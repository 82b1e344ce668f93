import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MountFlag, mounts, type Syscalls, Unmount } from '@kata-agent/linux';
import type { SharedUserNamespace } from '../spec/namespaces.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { mappingsOfProcess } from '../container/process-status.js';

interface NamespaceServices {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
}

/** Types of the namespaces that the containers of a pod share, and that a mount keeps. The kernel keeps no empty pid namespace. */
const types = ['ipc', 'uts', 'user'] as const;
type KeptType = (typeof types)[number];

/**
 * The IPC, UTS and user namespaces of the sandbox: mounts on files of the agent's state directory keep them after the
 * container that created them has ended, and after the agent was restarted. Kata's agent creates both with the sandbox
 * (src/agent/src/namespace.rs); the first container creates them here, since it may have a user namespace that owns
 * them. A later container joins that user namespace if its mappings are the same: only in the owner of a namespace may
 * it mount the file systems of that namespace.
 */
export class PersistentNamespaces {
  readonly #context: NamespaceServices;
  readonly #directory: string;
  readonly #kept: Set<KeptType> = new Set();

  constructor(context: NamespaceServices) {
    this.#context = context;
    this.#directory = join(context.paths.state, 'namespaces');
  }

  /** Returns the path of a namespace; undefined: no container has created it yet. */
  path(type: KeptType): string | undefined {
    return this.#kept.has(type) ? this.#file(type) : undefined;
  }

  /** Returns the user namespace and its mappings; undefined: no container has created one. */
  user(): SharedUserNamespace | undefined {
    const path = this.path('user');
    return path === undefined ? undefined : { path, mappings: readFileSync(this.#mappings(), 'utf8') };
  }

  /** Keeps those that a container created, unless the sandbox has them. `pid`: a process of the container. */
  keep(container: { readonly pid: number; readonly namespaces: ReadonlySet<string> }): void {
    const { syscalls, paths } = this.#context;
    for (const type of types) {
      if (this.#kept.has(type) || !container.namespaces.has(type)) continue;
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(this.#file(type), '', { mode: 0o600 });
      if (type === 'user')
        writeFileSync(this.#mappings(), mappingsOfProcess(container.pid, paths.proc), { mode: 0o600 });
      const source = join(paths.proc, `${container.pid}/ns/${type}`);
      syscalls.mount(source, this.#file(type), '', MountFlag.Bind, '');
      this.#kept.add(type);
    }
  }

  /** Finds those that an earlier agent kept. */
  restore(): void {
    for (const type of types) if (this.#mounted(type)) this.#kept.add(type);
  }

  /** Releases those of this agent, and of an earlier one. */
  release(): void {
    this.#kept.clear();
    if (!existsSync(this.#directory)) return;
    for (const type of types)
      if (this.#mounted(type))
        this.#context.syscalls.umount2(this.#file(type), Unmount.Detach | Unmount.NoFollow);
    rmSync(this.#directory, { recursive: true });
  }

  #mounted(type: KeptType): boolean {
    return mounts().some((mount) => mount.target === this.#file(type) && mount.type === 'nsfs');
  }

  #mappings(): string {
    return join(this.#directory, 'user-mappings');
  }

  #file(type: KeptType): string {
    return join(this.#directory, type);
  }
}
