import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, readKernelFile } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** "No limit" in the protocol. */
export const UNLIMITED: bigint = 2n ** 64n - 1n;

/** The directories of a container's cgroup, on cgroup v1 or v2. */
export type CgroupPaths =
  | { readonly version: 1; readonly controllers: ReadonlyMap<string, string> }
  | { readonly version: 2; readonly directory: string };

/** Reports whether `root` is a cgroup2 mount, so without v1 controllers. A hybrid layout has its cgroup2 mount at `unified`. */
function isUnified(root: string): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

/** The version of a guest's cgroups. A hybrid, with controllers of v1, counts as v1. */
export function cgroupVersion(root: string): 1 | 2 {
  return isUnified(root) ? 2 : 1;
}

/** Reports whether `root` has v1 hierarchies and, at `unified`, a cgroup2 mount, as systemd's hybrid layout. */
export function isHybrid(root: string): boolean {
  return !isUnified(root) && existsSync(join(root, 'unified/cgroup.controllers'));
}

/** Returns the mount points of the hierarchies: `root` on v2; on v1 a directory below it for each. */
export function hierarchies(root: string): readonly string[] {
  if (isUnified(root)) return [root];
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

/**
 * Reads `<proc>/<pid>/cgroup` (cgroups(7)) of a container's first process: one line per hierarchy, `id:controllers:path`.
 * Only hierarchies where the process is in the cgroup `name` count. In the others it may be in the root: on v1 the kernel
 * lists the root for a process that has ended, and a runtime may not use a hierarchy that it does not know. Limits, device
 * rules and kills there would apply to the whole guest.
 *
 * @param name path of the container's cgroup below each hierarchy's mount point
 * @throws GuestError `precondition` when the process is in the cgroup in no hierarchy
 */
export function cgroupPathsOf(
  pid: number,
  name: string,
  { proc, cgroup: root }: { readonly proc: string; readonly cgroup: string },
): CgroupPaths {
  const lines = (textOf(join(proc, String(pid), 'cgroup')) ?? '').split('\n');
  const own = lines.filter((line) => /^\d+:[^:]*:(.*)$/.exec(line)?.[1] === name);
  // In a hybrid layout, the v2 line of a process that has ended keeps its path.
  if (!own.some((line) => isUnified(root) || !line.startsWith('0::')))
    throw new GuestError(
      'precondition',
      `the container's first process, ${pid}, is not in the cgroup ${JSON.stringify(name)}: it ended before the container was started`,
    );
  return cgroupPaths(own.join('\n'), root, isUnified(root));
}

/** Undefined: the process has ended and been reaped. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/** Parses the text of `cgroup`. The v1 map has each controller (`cpu`, `memory`, …) and, in a hybrid layout, `unified`. */
export function cgroupPaths(text: string, root: string, unified: boolean): CgroupPaths {
  const controllers = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    const [, names = '', path = '/'] = match;
    if (unified && names === '') return { version: 2, directory: join(root, path) };
    // Controllers that are mounted together share one directory, named cpu,cpuacct.
    for (const name of names.split(',')) {
      const label = name === '' ? 'unified' : name.replace(/^name=/, '');
      controllers.set(label, join(root, names.includes(',') ? names : label, path));
    }
  }
  return unified ? { version: 2, directory: root } : { version: 1, controllers };
}

/** Reads a file of a cgroup. Undefined: the kernel does not have the file or its controller, or the cgroup is gone. */
export function readCgroupFile(path: string): string | undefined {
  try {
    return readKernelFile(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Writes to a file of a cgroup. False: the cgroup is gone. */
export function writeCgroupFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return false;
    throw error;
  }
}

/** Reports whether the kernel has no such file, or the cgroup is being removed. */
function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP');
}

/** Parses a number of the kernel: digits, or `max` (`UNLIMITED`). Other text is 0. */
export function count(text: string | undefined): bigint {
  if (text === 'max') return UNLIMITED;
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Reads a file of `name value` lines. Absent: an empty table. */
export function readTable(path: string): Readonly<Record<string, bigint>> {
  return parseTable(readCgroupFile(path));
}

/** Lines of `name value`. Undefined: no names. */
export function parseTable(text: string | undefined): Readonly<Record<string, bigint>> {
  const lines = (text ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(
    lines.flatMap(([name, value]) => (name && value !== undefined ? [[name, count(value)]] : [])),
  );
}
