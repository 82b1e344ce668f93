// The checkout of Kata's source: its version, and a copy of its tests.
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from './program.js';

/** What the bats tests need, which write beside themselves. */
const needed = ['VERSION', 'versions.yaml', 'src/kata-opa', 'tests'];

/** Returns the version of a checkout and, if it is of git, the commit. */
export function kataVersion(source: string): string {
  const file = join(source, 'VERSION');
  const version = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'without VERSION';
  const commit = versionOf('git', '-C', source, 'rev-parse', '--short=10', 'HEAD');
  return commit === undefined ? version : `${version} (${commit})`;
}

/** Copies the tests of a checkout. */
export function copyTests(source: string, target: string): void {
  mkdirSync(target, { recursive: true });
  for (const name of needed.filter((one) => existsSync(join(source, one))))
    cpSync(join(source, name), join(target, name), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
}
