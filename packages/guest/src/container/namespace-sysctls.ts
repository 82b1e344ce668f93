import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { sysctlPath } from '../spec/sysctl-name.js';
import { namespaceOf } from '../spec/sysctls.js';
import type { PinnedNamespaces } from './pinned-namespaces.js';

interface Change {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

/**
 * Sysctls of a container's IPC and UTS namespaces. The OCI runtime is not given them: it writes them below the container's
 * /proc, among mounts that others may have a hand in. A thread of the agent writes them in its own /proc, in the namespaces of
 * the container's first process, before anything of the container runs.
 */
export class NamespaceSysctls {
  readonly #pinned: PinnedNamespaces;
  readonly #proc: string;
  #changes: Change[] = [];

  /** `proc`: `/proc`. */
  constructor(pinned: PinnedNamespaces, proc: string) {
    this.#pinned = pinned;
    this.#proc = proc;
  }

  /**
   * Writes sysctls that `namespaceOf` knows; returns the names of those that this kernel does not have.
   *
   * @throws GuestError `invalid` for a value that the kernel does not take, and for a container without that namespace.
   */
  write(sysctls: Readonly<Record<string, string>>): readonly string[] {
    const missing: string[] = [];
    for (const [name, value] of Object.entries(sysctls)) {
      try {
        this.#within(name, (file) => {
          const before = readFileSync(file, 'latin1');
          writeFileSync(file, value, { flag: 'r+' });
          this.#changes.push({ name, before, after: readFileSync(file, 'latin1') });
        });
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

  /** The container was made: its sysctls stay. */
  keep(): void {
    this.#changes = [];
  }

  /** Puts back what was there before, where nobody has changed it since: the namespaces may be the pod's. Every one is tried. */
  takeBack(): void {
    const failed: string[] = [];
    for (const { name, before, after } of this.#changes.reverse()) {
      try {
        this.#within(name, (file) => {
          if (before !== after && readFileSync(file, 'latin1') === after)
            writeFileSync(file, before, { flag: 'r+' });
        });
      } catch (error) {
        failed.push(`${name}: ${String(error)}`);
      }
    }
    this.#changes = [];
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  #within(name: string, task: (file: string) => void): void {
    const type = namespaceOf(name);
    if (type === undefined) throw new Error(`sysctl ${name} is of no namespace of a container`);
    const entered = this.#pinned.visit(type, () => task(join(this.#proc, 'sys', ...sysctlPath(name))));
    if (!entered)
      throw new GuestError(
        'invalid',
        `sysctl ${name} would be the guest's: the container has no ${type} namespace of its own`,
      );
  }
}
