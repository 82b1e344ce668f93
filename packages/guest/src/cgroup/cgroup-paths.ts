import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** Where a container's cgroup lies, by the two layouts that Linux has. */
export type CgroupPaths =
  | { readonly version: 1; readonly controllers: ReadonlyMap<string, string> }
  | { readonly version: 2; readonly directory: string };

/** `root` is a cgroup2 mount itself: no v1 controllers (a hybrid has its cgroup2 below `unified`). */
function isUnified(root: string): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

/** The mount points of the hierarchies: `root` itself on v2; on v1 one directory below it for each. */
export function hierarchies(root: string): readonly string[] {
  if (isUnified(root)) return [root];
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

/**
 * Reads `<proc>/<pid>/cgroup` (cgroups(7)) of a container's first process: one line a hierarchy, `id:controllers:path`. Of a
 * process that has ended the kernel has the root there on v1, and a runtime may leave hierarchies alone that it does not know:
 * what is limited, narrowed or killed by those is the guest. So the paths are those that the runtime was given, and no others.
 *
 * @param name the container's cgroup, below each hierarchy's mount point
 * @throws GuestError `precondition` when the process is nowhere in it
 */
export function cgroupPathsOf(
  pid: number,
  name: string,
  { proc, cgroup: root }: { readonly proc: string; readonly cgroup: string },
): CgroupPaths {
  const lines = (textOf(join(proc, String(pid), 'cgroup')) ?? '').split('\n');
  const own = lines.filter((line) => /^\d+:[^:]*:(.*)$/.exec(line)?.[1] === name);
  // In a hybrid the line of v2 stays as it was.
  if (!own.some((line) => isUnified(root) || !line.startsWith('0::')))
    throw new GuestError(
      'precondition',
      `the container's first process, ${pid}, is not in the cgroup ${JSON.stringify(name)}: it has ended before it was started`,
    );
  return cgroupPaths(own.join('\n'), root, isUnified(root));
}

/** Undefined: the process has ended, and was waited for. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/** For v1 the map holds each controller (`cpu`, `memory`, …) and, in a hybrid, `unified`. */
export function cgroupPaths(text: string, root: string, unified: boolean): CgroupPaths {
  const controllers = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    const [, names = '', path = '/'] = match;
    if (unified && names === '') return { version: 2, directory: join(root, path) };
    // Controllers that are mounted together (cpu,cpuacct) have a directory of both names, and links for each.
    for (const name of names.split(',')) {
      const label = name === '' ? 'unified' : name.replace(/^name=/, '');
      controllers.set(label, join(root, names.includes(',') ? names : label, path));
    }
  }
  return unified ? { version: 2, directory: root } : { version: 1, controllers };
}
