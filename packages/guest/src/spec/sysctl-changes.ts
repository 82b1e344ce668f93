import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { sysctlPath } from './sysctl-name.js';

/** What one container that is being made has written to a sysctl. Undefined: the kernel does not let it be read. */
interface Change {
  readonly owner: SysctlChanges;
  before: string | undefined;
  /** What the kernel made of it. */
  readonly after: string | undefined;
}

/** The changes of one sysctl by containers that are not made yet, the oldest first. */
interface Changed {
  readonly name: string;
  readonly changes: readonly Change[];
}

/** Of this process, whose network namespace all its containers share; by the sysctl's file. */
const allChanged: Map<string, Changed> = new Map();

/**
 * What a container that is being made has changed of its pod's sysctls. They stay when it is removed, as Kata's do. Containers
 * are made beside each other: what one of them takes back is its own change, and never one that another has asked for since.
 */
export class SysctlChanges {
  readonly #proc: string;

  /** `proc`: `/proc`. */
  constructor(proc: string) {
    this.#proc = proc;
  }

  /**
   * Writes sysctls, once; returns the names of those that this kernel does not have. containerd 2 sets two of them for every
   * pod, so a missing one must not be an error.
   */
  write(sysctls: Readonly<Record<string, string>>): readonly string[] {
    const missing: string[] = [];
    for (const [name, value] of Object.entries(sysctls)) {
      const file = join(this.#proc, 'sys', ...sysctlPath(name));
      try {
        const before = readable(file);
        writeFileSync(file, value, { flag: 'r+' });
        const { changes } = allChanged.get(file) ?? { changes: [] };
        allChanged.set(file, { name, changes: [...changes, { owner: this, before, after: readable(file) }] });
      } catch (error) {
        if (hasCode(error, 'ENOENT')) missing.push(name);
        else
          throw new GuestError('invalid', `sysctl ${name} does not take ${JSON.stringify(value)}`, {
            cause: error,
          });
      }
    }
    return missing;
  }

  /** The container was made: its sysctls stay, also when a container that had changed them before it fails. */
  keep(): void {
    for (const [file, { name, changes }, at] of this.#own()) replace(file, name, changes.slice(at + 1));
  }

  /** Puts back what was there before, where nobody has changed it since. Every one is tried. */
  takeBack(): void {
    const failed: string[] = [];
    for (const [file, { name, changes }, at] of [...this.#own()].reverse()) {
      replace(file, name, changes.toSpliced(at, 1));
      const [own, next] = changes.slice(at, at + 2);
      if (own === undefined) continue;
      // The next one's value stays; should that be taken back too, then to what was there before both.
      if (next !== undefined) {
        if (next.before === own.after) next.before = own.before;
        continue;
      }
      try {
        putBack(file, own);
      } catch (error) {
        failed.push(`${name}: ${String(error)}`);
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  #own(): readonly (readonly [file: string, changed: Changed, at: number])[] {
    return [...allChanged]
      .map(
        ([file, changed]) =>
          [file, changed, changed.changes.findIndex(({ owner }) => owner === this)] as const,
      )
      .filter(([, , at]) => at >= 0);
  }
}

function replace(file: string, name: string, changes: readonly Change[]): void {
  if (changes.length === 0) allChanged.delete(file);
  else allChanged.set(file, { name, changes });
}

function putBack(file: string, { before, after }: Change): void {
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
