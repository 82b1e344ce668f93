import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { joinedMappings } from '../spec/user-namespace.js';

/** Returns the mappings of a process's user namespace as `mappingsOfSpec` writes them. */
export function mappingsOfProcess(pid: number, proc: string): string {
  const lines = (file: string): readonly string[] =>
    readFileSync(join(proc, `${pid}/${file}`), 'utf8')
      .split('\n')
      .map((line) => line.trim().replaceAll(/\s+/g, ' '))
      .filter((line) => line !== '');
  return joinedMappings(lines('uid_map'), lines('gid_map'));
}
