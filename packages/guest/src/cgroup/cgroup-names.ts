import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type CgroupPaths, hierarchies } from './cgroup-paths.js';

/**
 * The cgroups in use, by their path below a hierarchy's mount point. A container has a cgroup of its own: a limit, a freeze
 * or a kill through it reaches no other process. So no container's cgroup lies in another container's or in the agent's,
 * and none holds processes or cgroups that were there before the container.
 */
export class CgroupNames {
  readonly #root: string;
  readonly #agent: readonly string[];
  readonly #taken = new Set<string>();

  /** `root`: where the hierarchies are mounted. `agent`: the agent's own cgroups; the root is shared by all. */
  constructor(root: string, agent: readonly string[]) {
    this.#root = root;
    this.#agent = agent.filter((name) => name !== '/');
  }

  /**
   * Takes a cgroup for a new container; the result gives it back. It does not exist in any hierarchy, or it is empty, as a
   * killed agent may leave it.
   *
   * @throws GuestError `refused` for a cgroup of the agent's or with something in it, `exists` for another container's
   */
  take(name: string): () => void {
    this.#refuseTaken(name);
    this.#refuseOccupied(name);
    return this.#add(name);
  }

  /** The same for a container of an earlier agent, whose processes are in the cgroup. */
  takeBack(name: string): () => void {
    this.#refuseTaken(name);
    return this.#add(name);
  }

  #add(name: string): () => void {
    this.#taken.add(name);
    return () => void this.#taken.delete(name);
  }

  #refuseTaken(name: string): void {
    if (this.#agent.some((own) => overlap(own, name)))
      throw new GuestError(
        'refused',
        `the cgroup ${JSON.stringify(name)} holds the agent, or lies in its cgroup`,
      );
    for (const other of this.#taken) {
      if (overlap(other, name))
        throw new GuestError(
          'exists',
          `the cgroup ${JSON.stringify(name)} is that of another container, or lies in or above it: ${JSON.stringify(other)}`,
        );
    }
  }

  #refuseOccupied(name: string): void {
    for (const hierarchy of hierarchies(this.#root)) {
      const directory = join(hierarchy, name);
      const found = contentOf(directory);
      if (found === undefined) continue;
      throw new GuestError(
        'refused',
        `the cgroup ${JSON.stringify(name)} is in use: ${directory} holds ${found}; cgroupsPath must name a cgroup that does not exist or is empty`,
      );
    }
  }
}

/** What a cgroup holds that no new container may have in its own. Undefined: it is empty, or does not exist. */
function contentOf(directory: string): string | undefined {
  try {
    const [pid = ''] = readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n');
    if (pid !== '') return `process ${pid}`;
    const child = readdirSync(directory, { withFileTypes: true }).find((entry) => entry.isDirectory());
    return child === undefined ? undefined : `the cgroup ${JSON.stringify(child.name)}`;
  } catch (error) {
    // A name that is too long or leads through a file is refused by the kernel when the runtime makes the cgroup.
    if (hasCode(error, 'ENOENT', 'ENODEV', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    if (hasCode(error, 'EOPNOTSUPP', 'ENOTSUP')) return 'threads';
    throw error;
  }
}

/** The agent's own cgroups, each path once (cgroups(7)). */
export function agentCgroups(proc: string): readonly string[] {
  const lines = readFileSync(join(proc, 'self/cgroup'), 'utf8').split('\n');
  return [...new Set(lines.map((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? '/'))];
}

/** The path of a container's cgroup below the mount point of a hierarchy. */
export function cgroupNameOf(cgroup: CgroupPaths, root: string): string {
  if (cgroup.version === 2) return `/${relative(root, cgroup.directory)}`;
  const [path = root] = cgroup.controllers.values();
  return `/${relative(root, path).split('/').slice(1).join('/')}`;
}

function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}
