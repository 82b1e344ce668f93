import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { footprint } from '../harness/footprint.js';

/** All that a pod must leave as it found it. */
export interface PodFootprint {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
  /** Names of the network's links, and its addresses, routes and neighbours. */
  readonly links: string;
  /** Kernel namespaces that the agent or a process of its holds, besides its own. */
  readonly namespaces: readonly string[];
  /** What the agent's descriptors lead to, numbers of pipes and sockets left out. */
  readonly descriptors: readonly string[];
}

/** Reads it from the agent with this pid, whose containers' cgroups lie below one parent. */
export function podFootprint(pid: number, cgroupParent: string): PodFootprint {
  const { processes, mounts, cgroups, files } = footprint(pid, cgroupParent);
  return {
    processes,
    mounts,
    cgroups,
    files,
    links: linksOf(pid),
    namespaces: namespacesOf(pid),
    descriptors: descriptorsOf(pid),
  };
}

/** What is left of it when the agent has ended, read from another process in its namespaces. */
export function leftBehind(
  keeper: number,
  cgroupParent: string,
): Pick<PodFootprint, 'mounts' | 'cgroups' | 'files' | 'links'> {
  const { mounts, cgroups, files } = footprint(keeper, cgroupParent);
  const ofPods = files.filter((name) => name.startsWith('kata-containers/'));
  return { mounts, cgroups, files: ofPods, links: linksOf(keeper) };
}

function linksOf(pid: number): string {
  const enter = ['--net', '--target', String(pid), 'ip', '-oneline'];
  return (
    ['link', 'route', 'neigh']
      .flatMap((what) => execFileSync('nsenter', [...enter, what, 'show'], { encoding: 'utf8' }).split('\n'))
      // What the kernel learns of its neighbours by itself comes and goes.
      .filter((line) => !/ (REACHABLE|STALE|DELAY|PROBE|INCOMPLETE|FAILED)\s*$/.test(line))
      .join('\n')
  );
}

function namespacesOf(pid: number): readonly string[] {
  const own = new Set(readdirSync(`/proc/${pid}/ns`).map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)));
  const held = [...descendants(pid), pid].flatMap((process) => [
    ...links(`/proc/${process}/ns`),
    ...links(`/proc/${process}/fd`).filter((target) => /^[a-z]+:\[\d+\]$/.test(target)),
  ]);
  return [...new Set(held)].filter((name) => !own.has(name) && !/^(pipe|socket):/.test(name)).sort();
}

function descriptorsOf(pid: number): readonly string[] {
  return links(`/proc/${pid}/fd`)
    .map((target) => target.replace(/^(pipe|socket):\[\d+\]$/, '$1'))
    .sort();
}

/** The targets of a folder of links. Who ended meanwhile has none. */
function links(folder: string): readonly string[] {
  try {
    return readdirSync(folder).flatMap((name): readonly string[] => {
      try {
        return [readlinkSync(`${folder}/${name}`)];
      } catch (error) {
        return gone(error);
      }
    });
  } catch (error) {
    return gone(error);
  }
}

function descendants(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function gone(error: unknown): readonly never[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}
