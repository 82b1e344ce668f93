import type { PrivilegeAccess } from '@kata-agent/gate';
import { quoted, refused } from './values.js';

/** A storage as it was forwarded: what a later request must equal to name its mount point again. */
export interface ForwardedStorage {
  readonly mountPoint: string;
  /** The driver, source, options and all else of it, as text. */
  readonly identity: string;
  /** The address of the disk that it mounts; undefined: it mounts none. */
  readonly disk?: string;
}

/** The use of a name in the shared directory. */
export type SharedUse =
  /** Files that CopyFile writes, or that the host shares: the source of mounts. */
  | 'volume'
  /** The directory of a container of that id. */
  | 'container';

/** What a request would add, found before it is forwarded. */
export interface Claims {
  readonly container?: string;
  readonly exec?: { readonly container: string; readonly id: string };
  readonly storages?: readonly ForwardedStorage[];
  /** Names directly below the shared directory, and below `passthrough` in it. */
  readonly names?: ReadonlyMap<string, SharedUse>;
  /** The root of the container of this request. */
  readonly root?: string;
  /** The cgroup of that container; undefined: the inner agent names it by the id. */
  readonly cgroup?: string | undefined;
}

/** The most that is remembered of one kind: a host that names ever new ones does not fill the memory (S17). */
const maxRemembered = 16_384;

/**
 * What has been forwarded for the sandbox, over all calls and callers. Kata's agent looks mount points, ids and names up again: a
 * storage at a mount point that it knows is not mounted, whatever the request says (Kata: src/agent/src/storage/mod.rs:331-345),
 * and an exec takes the place of one with its id (rustjail/src/container.rs, `processes.insert`). So each has one meaning here.
 *
 * Nothing is forgotten when a call fails: what the inner agent has left of it is not known, and a repetition must equal it.
 */
export class ForwardedSandbox {
  /** Containers, each with its cgroup. */
  readonly #containers = new Map<string, string | undefined>();
  readonly #execs = new Map<string, Set<string>>();
  readonly #storages = new Map<string, ForwardedStorage>();
  readonly #disks = new Map<string, string>();
  readonly #names = new Map<string, SharedUse>();
  readonly #roots: string[] = [];
  #created = false;

  get hasSandbox(): boolean {
    return this.#created;
  }

  hasContainer(id: string): boolean {
    return this.#containers.has(id);
  }

  hasMountPoint(path: string): boolean {
    return this.#storages.has(path);
  }

  /** Returns the use of a name in the shared directory; undefined: it has none yet. */
  useOf(name: string): SharedUse | undefined {
    return this.#names.get(name);
  }

  /** Returns the roots of the containers that were forwarded, as written in `OCI.Root.Path`. */
  get roots(): readonly string[] {
    return this.#roots;
  }

  /** @throws NotAlike for a claim that contradicts an earlier one, or another one of the same request. */
  check(claims: Claims): void {
    const { container, exec, storages = [], names = new Map<string, SharedUse>(), cgroup } = claims;
    const execs = exec === undefined ? 0 : (this.#execs.get(exec.container)?.size ?? 0);
    const full = [
      [names.size > 0, 'names', this.#names.size],
      [storages.length > 0, 'storages', this.#storages.size],
      [container !== undefined, 'containers', this.#containers.size],
      [exec !== undefined, 'execs', execs],
    ].find(([adds, , size]) => adds === true && Number(size) >= maxRemembered);
    if (full !== undefined)
      throw refused(
        String(full[1]),
        `this sandbox has had ${maxRemembered}, and no more are remembered`,
        'start another pod',
      );
    if (container !== undefined && this.#containers.has(container))
      throw refused('container_id', `container ${quoted(container)} exists`, 'use another id');
    const other = [...this.#containers].find(([, theirs]) => cgroup !== undefined && theirs === cgroup);
    if (other !== undefined)
      throw refused(
        'OCI.Linux.CgroupsPath',
        `container ${quoted(other[0])} has this cgroup`,
        'use another path',
      );
    if (exec !== undefined && this.#execs.get(exec.container)?.has(exec.id) === true)
      throw refused('exec_id', `exec ${quoted(exec.id)} of this container runs`, 'use another id');
    for (const { mountPoint, identity, disk } of storages) {
      const known = this.#storages.get(mountPoint);
      if (known !== undefined && known.identity !== identity)
        throw refused(
          'storages',
          `${quoted(mountPoint)} is the mount point of another storage, which the inner agent would use instead`,
          'give each storage a mount point of its own',
        );
      const other = disk === undefined ? undefined : this.#disks.get(disk);
      if (other !== undefined && other !== mountPoint)
        throw refused('storages', `${quoted(disk ?? '')} is mounted at ${quoted(other)} already`);
    }
    for (const [name, use] of names) {
      const known = this.#names.get(name);
      if (known !== undefined && known !== use)
        throw refused(
          'path',
          `${quoted(name)} in the shared directory is ${known === 'volume' ? 'a volume' : 'the directory of a container'}`,
          'give each container and volume a name of its own',
        );
    }
  }

  /** Records what is being forwarded. Call `check` before, without waiting in between. */
  add({ container, exec, storages = [], names = new Map<string, SharedUse>(), root, cgroup }: Claims): void {
    if (container !== undefined) this.#containers.set(container, cgroup);
    if (exec !== undefined) {
      const known = this.#execs.get(exec.container) ?? new Set<string>();
      this.#execs.set(exec.container, known.add(exec.id));
    }
    for (const storage of storages) {
      this.#storages.set(storage.mountPoint, storage);
      if (storage.disk !== undefined) this.#disks.set(storage.disk, storage.mountPoint);
    }
    for (const [name, use] of names) this.#names.set(name, use);
    if (root !== undefined) this.#roots.push(root);
  }

  sandboxCreated(): void {
    this.#created = true;
  }

  /** The inner agent has answered that the container is removed: its id may be used again. */
  containerRemoved(id: string): void {
    this.#containers.delete(id);
    this.#execs.delete(id);
  }

  /** The inner agent did not create it. */
  containerFailed(id: string): void {
    this.#containers.delete(id);
  }

  /** The inner agent has forgotten the exec: it was waited for, or not started. */
  execEnded(container: string, id: string): void {
    this.#execs.get(container)?.delete(id);
  }
}

/** Character devices of the guest, which the inner agent has too. */
export interface GuestNodes {
  /** Returns the number of a character device below /dev, `10:229`; undefined: there is none at that path. */
  numberOf(path: string): string | undefined;
  /** Returns the kernel's name of the character device with a number; undefined: there is none. */
  nameOf(number: string): string | undefined;
}

/** What a request is read with. */
export interface FormContext {
  readonly sandbox: ForwardedSandbox;
  /** What the configuration opens of the guest. */
  readonly access: PrivilegeAccess;
  /** Whether privileged containers are refused. */
  readonly isRefusing: boolean;
  readonly nodes: GuestNodes;
}
