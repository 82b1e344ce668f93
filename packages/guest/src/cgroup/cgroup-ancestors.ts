import { existsSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readIfThere } from '../read-if-there.js';
import { hierarchies } from './cgroup-paths.js';

/**
 * The runtime makes the directories above a container's cgroup and removes only the last. Those that were not there
 * before are remembered here and go when nothing is left in them.
 */
export class CgroupAncestors {
  readonly #root: string;
  readonly #made: Set<string> = new Set();
  /** The directories above cgroups that the runtime may be making now. */
  readonly #expected: Set<readonly string[]> = new Set();
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

  /**
   * Call before the runtime makes `cgroup`, a path as `/a/b/c`. What is above it stays, until the answer is given to
   * `arrived` or `sweep`: it may be empty while the runtime looks for its place.
   */
  expect(cgroup: string): readonly string[] {
    const known = this.#made.size;
    const above: string[] = [];
    for (const hierarchy of hierarchies(this.#root)) {
      let there = false;
      for (let path = dirname(cgroup); path !== '/'; path = dirname(path)) {
        const directory = join(hierarchy, path);
        above.push(directory);
        there ||= existsSync(directory);
        if (!there) this.#made.add(directory);
      }
    }
    if (this.#made.size !== known) this.#save();
    this.#expected.add(above);
    return above;
  }

  /** The runtime has made the cgroup: from now on it is what keeps the directories above it. */
  arrived(expected: readonly string[]): void {
    this.#expected.delete(expected);
  }

  /** Removes those that are empty now, the innermost first. */
  sweep(expected: readonly string[] = []): void {
    this.#expected.delete(expected);
    const known = this.#made.size;
    const kept = new Set([...this.#expected].flat());
    const innermostFirst = [...this.#made].sort((a, b) => b.length - a.length);
    for (const directory of innermostFirst.filter((each) => !kept.has(each))) {
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
}
