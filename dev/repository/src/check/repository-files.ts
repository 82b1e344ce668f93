import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';

/** Returns the files of the working tree that git knows or does not ignore, relative to the root. @param kinds patterns of git; none: all */
export function repositoryFiles(...kinds: readonly string[]): readonly string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...kinds],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
}
