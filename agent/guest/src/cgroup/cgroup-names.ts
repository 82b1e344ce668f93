import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type CgroupPaths, hierarchies } from './cgroup-paths.js';

/**
 * The cgroups in use, by path below a hierarchy's mount point. Each container has its own cgroup: a limit, a freeze or
 * a kill through it reaches no other process. So no container's cgroup is below another container's or the agent's, and
 * none had processes or child cgroups before the container.
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
   * Registers a cgroup for a new container; the result releases it. The cgroup must not exist in any hierarchy, or be empty,
   * as a killed agent may leave it.
   *
   * `isScope`: systemd creates it. Then no scope in another slice may have the same name either, since systemd knows units
   * by their name: after a failed create, and at a removal, the runtime stops the unit of that name.
   *
   * @throws GuestError `refused` for a cgroup of the agent or one that is not empty, `exists` for one of another container
   */
  take({ path, isScope }: { readonly path: string; readonly isScope: boolean }): () => void {
    this.#refuseTaken(path);
    if (isScope) this.#refuseSameUnit(path);
    this.#refuseOccupied(path);
    return this.#add(path);
  }

  /** Registers the cgroup of a container of an earlier agent, which has processes. */
  reclaim(name: string): () => void {
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
        `the cgroup ${JSON.stringify(name)} contains the agent, or is below its cgroup`,
      );
    for (const other of this.#taken) {
      if (overlap(other, name))
        throw new GuestError(
          'exists',
          `the cgroup ${JSON.stringify(name)} is in use by another container, or is below or above its cgroup ${JSON.stringify(other)}`,
        );
    }
  }

  #refuseSameUnit(path: string): void {
    const unit = basename(path);
    const ofContainer = [...this.#taken].find((other) => pinned(basename(other)) === pinned(unit));
    if (ofContainer !== undefined)
      throw new GuestError(
        'exists',
        `the unit ${JSON.stringify(unit)} is in use by another container, whose cgroup is ${JSON.stringify(ofContainer)}`,
      );
    const inUse = cgroupsOfUnit(unit, this.#root).find((other) => other !== join(this.#root, path));
    if (inUse !== undefined)
      throw new GuestError(
        'refused',
        `the unit ${JSON.stringify(unit)} is in use: ${inUse} exists; help: set cgroupsPath to a scope that does not exist`,
      );
  }

  #refuseOccupied(name: string): void {
    for (const hierarchy of hierarchies(this.#root)) {
      const directory = join(hierarchy, name);
      const found = contentOf(directory);
      if (found === undefined) continue;
      throw new GuestError(
        'refused',
        `the cgroup ${JSON.stringify(name)} is in use: ${directory} contains ${found}; help: set cgroupsPath to a cgroup that does not exist or is empty`,
      );
    }
  }
}

/** Describes a process or child cgroup in a cgroup. Undefined: the cgroup is empty, or does not exist. */
function contentOf(directory: string): string | undefined {
  try {
    const [pid = ''] = readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n');
    if (pid !== '') return `process ${pid}`;
    const child = readdirSync(directory, { withFileTypes: true }).find((entry) => entry.isDirectory());
    return child === undefined ? undefined : `the cgroup ${JSON.stringify(child.name)}`;
  } catch (error) {
    // For ENOTDIR and ENAMETOOLONG the kernel refuses the name when the runtime creates the cgroup.
    if (hasCode(error, 'ENOENT', 'ENODEV', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    if (hasCode(error, 'EOPNOTSUPP', 'ENOTSUP')) return 'threads';
    throw error;
  }
}

/** Returns the cgroups of a unit of systemd (cgroup v2). A unit that has a cgroup has it in a slice, at any depth. */
function cgroupsOfUnit(unit: string, directory: string): readonly string[] {
  return subdirectories(directory).flatMap((name) => {
    const path = join(directory, name);
    if (name === unit) return [path];
    return name.endsWith('.slice') ? cgroupsOfUnit(unit, path) : [];
  });
}

/** Empty: the directory is gone. */
function subdirectories(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

/** Returns the agent's own cgroups, each path once (cgroups(7)). */
export function agentCgroups(proc: string): readonly string[] {
  const lines = readFileSync(join(proc, 'self/cgroup'), 'utf8').split('\n');
  return [...new Set(lines.map((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? '/'))];
}

/** Returns the path of a container's cgroup below the mount point of a hierarchy. */
export function cgroupNameOf(cgroup: CgroupPaths, root: string): string {
  if (cgroup.version === 2) return `/${relative(root, cgroup.directory)}`;
  const [path = root] = cgroup.controllers.values();
  return `/${relative(root, path).split('/').slice(1).join('/')}`;
}

/** crun pins the device program of a scope by its name with these characters exchanged. */
function pinned(unit: string): string {
  return unit.replaceAll('.', '_');
}

function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}
