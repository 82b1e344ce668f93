import { existsSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readIfThere } from '@kata-agent/base';
import { hierarchies } from './cgroup-paths.js';

/**
 * The runtime creates the parents of a container's cgroup, but removes only the cgroup. The parents that did not exist
 * before are recorded here and removed once they are empty.
 */
export class CgroupAncestors {
  readonly #root: string;
  readonly #made: Set<string> = new Set();
  /** Parents of cgroups that the runtime may be creating. */
  readonly #expected: Set<readonly string[]> = new Set();
  readonly #record: string;

  /**
   * `root`: directory of the hierarchies' mount points. `record`: path of a file that lists the created parents, so that the
   * next agent can remove them if this one is killed.
   */
  constructor(root: string, record: string) {
    this.#root = root;
    this.#record = record;
    for (const directory of (readIfThere(record)?.toString() ?? '').split('\n'))
      if (directory !== '') this.#made.add(directory);
  }

  /**
   * Called before the runtime creates `cgroup`, a path such as `/a/b/c`. `sweep` keeps its parents, even if empty, until
   * the result is passed to `arrived` or `sweep`.
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

  /** Called when the runtime has created the cgroup, which from now on keeps its parents from being removed. */
  arrived(expected: readonly string[]): void {
    this.#expected.delete(expected);
  }

  /** Removes empty parents, innermost first. */
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
