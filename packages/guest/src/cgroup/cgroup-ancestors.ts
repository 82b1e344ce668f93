import { existsSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readIfThere } from '../read-if-there.js';

/**
 * The runtime makes the directories above a container's cgroup and removes only the last. Those that were not there
 * before are remembered here and go when nothing is left in them.
 */
export class CgroupAncestors {
  readonly #root: string;
  readonly #made: Set<string> = new Set();

  readonly #record: string;

  /**
   * `root`: where the hierarchies are mounted. `record`: a file in which those that were made stand, so that the next
   * agent can remove them when this one is killed.
   */
  constructor(root: string, record: string) {
    this.#root = root;
    this.#record = record;
    for (const directory of (readIfThere(record) ?? '').split('\n'))
      if (directory !== '') this.#made.add(directory);
  }

  /** Call before the runtime makes `cgroup`, a path as `/a/b/c`. */
  expect(cgroup: string): void {
    const known = this.#made.size;
    for (const hierarchy of this.#hierarchies()) {
      for (let path = dirname(cgroup); path !== '/'; path = dirname(path)) {
        const directory = join(hierarchy, path);
        if (existsSync(directory)) break;
        this.#made.add(directory);
      }
    }
    if (this.#made.size !== known) this.#save();
  }

  /** Removes those that are empty now, the innermost first. */
  sweep(): void {
    const known = this.#made.size;
    const innermostFirst = [...this.#made].sort((a, b) => b.length - a.length);
    for (const directory of innermostFirst) {
      try {
        rmdirSync(directory);
        this.#made.delete(directory);
      } catch (error) {
        if (hasCode(error, 'ENOENT')) this.#made.delete(directory);
        // Another container's cgroup is still in it: its removal sweeps again.
        else if (!hasCode(error, 'EBUSY', 'ENOTEMPTY')) throw error;
      }
    }
    if (this.#made.size !== known) this.#save();
  }

  #save(): void {
    if (this.#made.size === 0) rmSync(this.#record, { force: true });
    else writeFileSync(this.#record, [...this.#made].join('\n'), { mode: 0o600 });
  }

  /** One directory on v2; on v1 one for each hierarchy. */
  #hierarchies(): readonly string[] {
    if (existsSync(join(this.#root, 'cgroup.controllers'))) return [this.#root];
    if (!existsSync(this.#root)) return [];
    return readdirSync(this.#root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(this.#root, entry.name));
  }
}
