import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';

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
    .flatMap((name) => readFileSync(join(path, name), 'utf8').split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line));
}

/** Loads them; answers what went wrong, in words, or undefined. */
export function loadModules(names: readonly string[], modprobe = '/sbin/modprobe'): string | undefined {
  if (names.length === 0) return undefined;
  const { error, status, stderr } = spawnSync(modprobe, ['-a', ...names], {
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined) return `${modprobe}: ${error.message}`;
  return status === 0 ? undefined : `${modprobe} -a ${names.join(' ')}: ${stderr.trim()}`;
}
