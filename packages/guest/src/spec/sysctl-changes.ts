import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { sysctlPath } from './sysctl-name.js';

interface Change {
  readonly name: string;
  readonly file: string;
  /** Undefined: the kernel does not let it be read. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What a container that is being made has changed of its pod's sysctls. They stay when it is removed, as Kata's do. */
export class SysctlChanges {
  readonly #proc: string;
  #changes: Change[] = [];

  /** `proc`: `/proc`. */
  constructor(proc: string) {
    this.#proc = proc;
  }

  /**
   * Writes sysctls; returns the names of those that this kernel does not have. containerd 2 sets two of them for every
   * pod, so a missing one must not be an error.
   */
  write(sysctls: Readonly<Record<string, string>>): readonly string[] {
    const missing: string[] = [];
    for (const [name, value] of Object.entries(sysctls)) {
      const file = join(this.#proc, 'sys', ...sysctlPath(name));
      try {
        const before = readable(file);
        writeFileSync(file, value, { flag: 'r+' });
        this.#changes.push({ name, file, before, after: readable(file) });
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

  /** The container was made: its sysctls stay. */
  keep(): void {
    this.#changes = [];
  }

  /** Puts back what was there before, where nobody has changed it since. Every one is tried. */
  takeBack(): void {
    const failed: string[] = [];
    for (const { name, file, before, after } of this.#changes.reverse()) {
      try {
        if (before !== undefined && before !== after && readable(file) === after)
          writeFileSync(file, before, { flag: 'r+' });
      } catch (error) {
        failed.push(`${name}: ${String(error)}`);
      }
    }
    this.#changes = [];
    if (failed.length > 0) throw new Error(failed.join('; '));
  }
}

function readable(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}
