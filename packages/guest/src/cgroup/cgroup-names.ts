import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { CgroupPaths } from './cgroup-paths.js';

/**
 * The cgroups in use, by their path below a hierarchy's mount point. A container has one of its own: what is frozen, limited
 * or killed by it is nobody else's, so none lies in another one or in the agent's.
 */
export class CgroupNames {
  readonly #agent: readonly string[];
  readonly #taken = new Set<string>();

  /** `agent`: the agent's own. The root is everybody's. */
  constructor(agent: readonly string[]) {
    this.#agent = agent.filter((name) => name !== '/');
  }

  /** Takes a cgroup for a container; the result gives it back. Throws when it is not free. */
  take(name: string): () => void {
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
    this.#taken.add(name);
    return () => void this.#taken.delete(name);
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
