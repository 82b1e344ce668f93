import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

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

/** Reads `<proc>/<pid>/cgroup` (cgroups(7)): one line a hierarchy, `id:controllers:path`. */
export function cgroupPathsOf(pid: number, proc: string, root: string): CgroupPaths {
  return cgroupPaths(readFileSync(join(proc, String(pid), 'cgroup'), 'utf8'), root, isUnified(root));
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
