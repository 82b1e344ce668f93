import { mkdirSync, openSync, read, readFileSync, rmdirSync, write } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { hasCode, mount, type Syscalls, Unmount } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';

const readAt = promisify(read);

const writeAt = promisify(write);

/** debugfs' `lru_gen`: reading returns the table of generations, writing runs a command. */
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
 * Begins generations of pages in kernels that use the multi-generational LRU
 * (Documentation/admin-guide/mm/multigen_lru.rst). The kernel itself begins a generation only under memory pressure; until
 * then no anonymous page counts as inactive. So each round begins one, and `memory.stat` counts the pages that were not
 * accessed for two generations as inactive.
 */
export class Generations {
  readonly #options: GenerationsOptions;
  /** Undefined: not opened yet; `none`: opening failed. */
  #file: GenerationsFile | 'none' | undefined;

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /** Begins a generation in each of these cgroups. `swap`: of anonymous pages as well. */
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
        // The container has ended, or the kernel has begun a generation itself.
        if (!hasCode(error, 'EINVAL', 'ERANGE')) throw error;
      }
    }
  }

  /** Bit 0 of `enabled`: the multi-generational LRU is in use. */
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
      const effect = 'unused anonymous memory is found only under memory pressure';
      this.#options.log('warn', `memory agent: lru_gen cannot be opened, so ${effect}: ${String(error)}`);
      return 'none';
    }
  }
}

/** The youngest generation of one cgroup on one NUMA node. */
export interface YoungestGeneration {
  /** Path of the cgroup from the root of the hierarchy. */
  readonly path: string;
  readonly id: number;
  readonly node: number;
  readonly youngest: number;
}

/** Parses `lru_gen`: `memcg ID PATH`, then for each node `node N` and one line per generation, beginning with its number. */
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

/**
 * Opens `lru_gen` of debugfs. The file stays open as long as the agent runs. debugfs itself is unmounted at once: it exposes
 * much of the kernel, and nothing else in the guest needs it. Throws when the kernel was built without debugfs or
 * `lru_gen`, or is locked down. `state`: the agent's state directory.
 */
export function openGenerationsFile(syscalls: Syscalls, state: string): GenerationsFile {
  const mountPoint = join(state, 'debugfs');
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  try {
    const options = ['nosuid', 'nodev', 'noexec'];
    mount(syscalls, { source: 'debugfs', target: mountPoint, type: 'debugfs', options });
    try {
      return fileOf(openSync(join(mountPoint, 'lru_gen'), 'r+'));
    } finally {
      syscalls.umount2(mountPoint, Unmount.Detach | Unmount.NoFollow);
    }
  } finally {
    rmdirSync(mountPoint);
  }
}

/** Reads and writes in libuv's thread pool, since the kernel walks page tables within write(2). */
function fileOf(fd: number): GenerationsFile {
  return {
    async read() {
      const chunks: Buffer[] = [];
      for (let position = 0; ; ) {
        const { bytesRead, buffer } = await readAt(fd, Buffer.alloc(64 * 1024), 0, 64 * 1024, position);
        if (bytesRead === 0) return Buffer.concat(chunks).toString();
        chunks.push(buffer.subarray(0, bytesRead));
        position += bytesRead;
      }
    },
    async write(command) {
      const bytes = Buffer.from(command);
      await writeAt(fd, bytes, 0, bytes.length, null);
    },
  };
}
