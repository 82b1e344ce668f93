import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';
import { type Complaint, runTool, startTool } from './run-tool.js';

const program = '/sbin/modprobe';

/** The directories of systemd (modules-load.d(5)): an image has one list for any init. */
const directory = '/etc/modules-load.d';

/** Returns the kernel modules that the image lists: one per line; lines that begin with # or ; are comments. */
export function wantedModules(path: string = directory): readonly string[] {
  let files: readonly string[];
  try {
    files = readdirSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return files
    .filter((name) => name.endsWith('.conf'))
    .sort()
    .flatMap((name) => modulesOf(join(path, name)) ?? []);
}

/** Returns the modules in one file; undefined if there is no such file. */
export function modulesOf(file: string): readonly string[] | undefined {
  return readIfThere(file)
    ?.toString()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line));
}

/** Loads modules in the background. */
export async function startLoadingModules(
  names: readonly string[],
  modprobe: string = program,
): Promise<Complaint> {
  return names.length === 0 ? undefined : startTool(modprobe, ['-a', ...names]);
}

/** Loads one module and waits for it. */
export function loadModule(name: string, modprobe: string = program): Complaint {
  return runTool(modprobe, [name]);
}
