import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type Complaint, runTool, startTool } from './run-tool.js';

const program = '/sbin/modprobe';

/** Where systemd looks for such lists too (modules-load.d(5)): an image has one list, whoever its init is. */
const folder = '/etc/modules-load.d';

/** The kernel modules that this image asks for: one a line; lines that begin with # or ; are remarks. */
export function wantedModules(path: string = folder): readonly string[] {
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

/** The modules that one file lists; undefined: there is no such file. */
export function modulesOf(file: string): readonly string[] | undefined {
  return readIfThere(file)
    ?.split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line));
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Loads them while this program goes on. */
export async function startLoadingModules(
  names: readonly string[],
  modprobe: string = program,
): Promise<Complaint> {
  return names.length === 0 ? undefined : startTool(modprobe, ['-a', ...names]);
}

/** Loads one, and waits for it. */
export function loadModule(name: string, modprobe: string = program): Complaint {
  return runTool(modprobe, [name]);
}
