import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { GuestLog } from '../guest-options.js';

/** The kernel's table of generations, which is read and written as a whole. */
export interface GenerationsFile {
  read(): Promise<string>;
  write(command: string): Promise<void>;
}

export interface GenerationsOptions {
  /** `/sys`. */
  readonly sys: string;
  /** `/sys/fs/cgroup`. */
  readonly cgroup: string;
  readonly open: () => GenerationsFile;
  readonly log: GuestLog;
}

/**
 * Generations of pages (Documentation/admin-guide/mm/multigen_lru.rst), where the kernel keeps its pages by these. It
 * begins one only when it runs short of memory: until then nothing without a file ever counts as unused. So each round
 * begins one, and what was not touched for two of them is on what `memory.stat` calls the inactive lists.
 */
export class Generations {
  readonly #options: GenerationsOptions;
  /** Undefined: not opened yet; `none`: cannot be. */
  #file: GenerationsFile | 'none' | undefined;

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /** Begins one in each of these cgroups. `swap`: of memory without a file as well. */
  async begin(cgroups: readonly string[], swap: boolean): Promise<void> {
    if (!this.#isUsed) return;
    this.#file ??= this.#open();
    if (this.#file === 'none') return;
    const paths = new Set(cgroups.map((cgroup) => `/${relative(this.#options.cgroup, cgroup)}`));
    for (const { path, id, node, youngest } of youngestGenerations(await this.#file.read())) {
      if (!paths.has(path)) continue;
      try {
        await this.#file.write(`+ ${id} ${node} ${youngest} ${swap ? 1 : 0} 1`);
      } catch (error) {
        // The container has ended, or the kernel has begun one itself.
        if (!hasCode(error, 'EINVAL', 'ERANGE')) throw error;
      }
    }
  }

  /** Bit 0: pages are kept by generations. */
  get #isUsed(): boolean {
    try {
      const enabled = readFileSync(join(this.#options.sys, 'kernel/mm/lru_gen/enabled'), 'utf8');
      return (Number(enabled) & 1) === 1;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  #open(): GenerationsFile | 'none' {
    try {
      return this.#options.open();
    } catch (error) {
      const what = 'memory that is not used is only seen when the kernel runs short of it';
      this.#options.log('warn', `memory agent: ${what}: ${String(error)}`);
      return 'none';
    }
  }
}

/** One cgroup on one node of memory. */
export interface YoungestGeneration {
  /** Of the cgroup, from the root of the hierarchy. */
  readonly path: string;
  readonly id: number;
  readonly node: number;
  readonly youngest: number;
}

/** Reads `memcg ID PATH`, then for each node `node N` and a line a generation, which begins with its number. */
export function youngestGenerations(text: string): readonly YoungestGeneration[] {
  const found: YoungestGeneration[] = [];
  let path = '';
  let id = 0;
  for (const line of text.split('\n')) {
    const memcg = /^memcg\s+(\d+) (.*)$/.exec(line);
    const node = /^\s+node\s+(\d+)\s*$/.exec(line);
    const generation = /^\s+(\d+)(?:\s+-?\d+){3}\s*$/.exec(line);
    const last = found.at(-1);
    if (memcg !== null) [id, path] = [Number(memcg[1]), memcg[2] ?? ''];
    else if (node !== null) found.push({ path, id, node: Number(node[1]), youngest: 0 });
    else if (generation !== null && last !== undefined)
      found[found.length - 1] = { ...last, youngest: Math.max(last.youngest, Number(generation[1])) };
  }
  return found;
}
