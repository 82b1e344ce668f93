import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sysctlNamespace } from '@kata-agent/catalogue';
import { hasCode, type Syscalls, type ThreadNamespace } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { sysctlPath } from '../spec/sysctls.js';
import type { PinnedNamespaces } from './pinned-namespaces.js';

/** The namespaces whose sysctls are changed. */
export interface SysctlNamespaces {
  /** Identifies the namespace that a sysctl belongs to, among those of all containers. */
  identity(sysctl: string): string;
  /**
   * Runs a task while this thread is in that namespace.
   *
   * @throws GuestError `invalid` if the container has no such namespace.
   */
  within(sysctl: string, task: () => void): void;
}

/** The agent's network namespace, which all containers share. */
export const podNetwork: SysctlNamespaces = {
  identity: () => 'net',
  within: (_, task) => task(),
};

/** The sysctls of no namespace. */
export const wholeGuest: SysctlNamespaces = {
  identity: () => 'guest',
  within: (_, task) => task(),
};

/** A write to a sysctl by a container that is being created. Undefined: the kernel does not allow reading it. */
interface Change {
  readonly owner: SysctlChanges;
  before: string | undefined;
  /** The value that the kernel stored. */
  readonly after: string | undefined;
}

/** The changes of one sysctl by containers that are being created, oldest first. */
interface Changed {
  readonly name: string;
  readonly file: string;
  readonly changes: readonly Change[];
}

/** Changes in all namespaces; by the namespace and the sysctl's file. */
const allChanged: Map<string, Changed> = new Map();

/**
 * Changes to sysctls by a container that is being created. Those of the pod's namespaces stay when it is removed, as
 * Kata's do. Containers are created concurrently: a rollback reverts the container's own change, and never one that
 * another container has requested since.
 */
export class SysctlChanges {
  readonly #namespaces: SysctlNamespaces;
  readonly #proc: string;

  /** `proc`: `/proc`. */
  constructor(namespaces: SysctlNamespaces, proc: string) {
    this.#namespaces = namespaces;
    this.#proc = proc;
  }

  /**
   * Writes sysctls, once; returns the names of those that this kernel does not have. containerd 2 sets two of them for
   * every pod, so a missing one must not be an error.
   *
   * @throws GuestError `invalid` for a value that the kernel refuses, and for a container without that namespace.
   */
  write(sysctls: Readonly<Record<string, string>>): readonly string[] {
    const missing: string[] = [];
    for (const [name, value] of Object.entries(sysctls)) {
      const file = join(this.#proc, 'sys', ...sysctlPath(name));
      try {
        this.#namespaces.within(name, () => this.#writeOne(name, file, value));
      } catch (error) {
        if (error instanceof GuestError) throw error;
        if (hasCode(error, 'ENOENT')) missing.push(name);
        else
          throw new GuestError('invalid', `sysctl ${name} does not take ${JSON.stringify(value)}`, {
            cause: error,
          });
      }
    }
    return missing;
  }

  #writeOne(name: string, file: string, value: string): void {
    const before = readable(file);
    writeFileSync(file, value, { flag: 'r+' });
    const key = `${this.#namespaces.identity(name)} ${file}`;
    const { changes } = allChanged.get(key) ?? { changes: [] };
    const change = { owner: this, before, after: readable(file) };
    allChanged.set(key, { name, file, changes: [...changes, change] });
  }

  /**
   * Commits the changes: the container was created. They stay, also if a container that had changed them before it
   * fails.
   */
  keep(): void {
    for (const [key, changed, at] of this.#own()) replace(key, changed, changed.changes.slice(at + 1));
  }

  /** Restores the previous values where no other container has changed them since. Attempts every one. */
  rollBack(): void {
    const failed: string[] = [];
    for (const [key, changed, at] of [...this.#own()].reverse()) {
      const { name, file, changes } = changed;
      replace(key, changed, changes.toSpliced(at, 1));
      const [own, next] = changes.slice(at, at + 2);
      if (own === undefined) continue;
      // The next change's value stays; if it is rolled back too, it is to the value before both.
      if (next !== undefined) {
        if (next.before === own.after) next.before = own.before;
        continue;
      }
      try {
        this.#namespaces.within(name, () => restore(file, own));
      } catch (error) {
        failed.push(`${name}: ${String(error)}`);
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  #own(): readonly (readonly [key: string, changed: Changed, at: number])[] {
    return [...allChanged]
      .map(
        ([key, changed]) => [key, changed, changed.changes.findIndex(({ owner }) => owner === this)] as const,
      )
      .filter(([, , at]) => at >= 0);
  }
}

function replace(key: string, changed: Changed, changes: readonly Change[]): void {
  if (changes.length === 0) allChanged.delete(key);
  else allChanged.set(key, { ...changed, changes });
}

function restore(file: string, { before, after }: Change): void {
  if (before !== undefined && before !== after && readable(file) === after)
    writeFileSync(file, before, { flag: 'r+' });
}

function readable(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

/**
 * Returns a container's IPC and UTS namespaces, for sysctls that `namespaceOf` knows. The OCI runtime does not get
 * these: it would write them below the container's /proc, among mounts that other parties may control. A thread of the
 * agent writes them in its own /proc, in the namespaces of the container's first process, before any code of the
 * container runs.
 */
export function namespacesOf(syscalls: Syscalls, pinned: PinnedNamespaces): SysctlNamespaces {
  return {
    identity: (sysctl) => pinned.identity(typeOf(sysctl)),
    within: (sysctl, task) => {
      const type = typeOf(sysctl);
      if (!pinned.visit(syscalls, type, task))
        throw new GuestError(
          'invalid',
          `sysctl ${sysctl} would be the guest's: the container has no ${type} namespace of its own`,
        );
    },
  };
}

function typeOf(sysctl: string): ThreadNamespace {
  const type = sysctlNamespace(sysctl);
  if (type === undefined) throw new Error(`sysctl ${sysctl} is of no namespace of a container`);
  return type;
}
