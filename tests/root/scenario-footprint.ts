import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { footprint } from '../harness/footprint.js';

/** Resources that must be the same before and after a pod. */
export interface PodFootprint {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
  /** Links, routes and neighbours of the network. */
  readonly links: string;
  /** Namespaces that the agent or its descendants hold, except the agent's own. */
  readonly namespaces: readonly string[];
  /** Targets of the agent's file descriptors, without the numbers of pipes and sockets. */
  readonly descriptors: readonly string[];
}

/** Reads the footprint of the agent with this pid; its containers' cgroups are below one parent. */
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

/** Reads the part of the footprint that remains when the agent has ended, through a process in its namespaces. */
export function machineFootprint(
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
      // The kernel adds and removes neighbours in these states itself.
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

/** Without those of event loops: each thread for the host's media has one, and such threads come and go. */
function descriptorsOf(pid: number): readonly string[] {
  const targets = links(`/proc/${pid}/fd`)
    .map((target) => target.replace(/^(pipe|socket):\[\d+\]$/, '$1'))
    .sort();
  const loops = targets.filter((target) => target === 'anon_inode:[eventpoll]').length;
  const left = new Map([
    ['anon_inode:[eventpoll]', loops],
    ['anon_inode:[eventfd]', loops],
    ['pipe', 2 * loops],
  ]);
  return targets.filter((target) => {
    const count = left.get(target) ?? 0;
    left.set(target, count - 1);
    return count <= 0;
  });
}

/** Returns the targets of the links in a directory of /proc; empty if the process has ended. */
function links(directory: string): readonly string[] {
  try {
    return readdirSync(directory).flatMap((name): readonly string[] => {
      try {
        return [readlinkSync(`${directory}/${name}`)];
      } catch (error) {
        return emptyIfMissing(error);
      }
    });
  } catch (error) {
    return emptyIfMissing(error);
  }
}

function descendants(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function emptyIfMissing(error: unknown): readonly never[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}
