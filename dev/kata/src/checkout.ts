// The checkout of Kata's source: its version, and the copy in which it is built.
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { versionOf } from './program.js';

/** Files and directories that the parts need. Builds write generated code beside their source. */
const needed = [
  'Cargo.lock',
  'Cargo.toml',
  'VERSION',
  'versions.yaml',
  'utils.mk',
  '.cargo',
  'vendor',
  'src',
  'tests',
  'tools/packaging/kata-deploy',
];

/** Returns the version of a checkout and, if it is of git, the commit. */
export function kataVersion(source: string): string {
  const file = join(source, 'VERSION');
  const version = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'without VERSION';
  const commit = versionOf('git', '-C', source, 'rev-parse', '--short=10', 'HEAD');
  return commit === undefined ? version : `${version} (${commit})`;
}

/** Copies what the parts need from a checkout. Earlier builds in it (`target`, `node_modules`) are not copied. */
export function copyCheckout(source: string, target: string): void {
  mkdirSync(target, { recursive: true });
  const filter = (path: string): boolean => !['.git', 'target', 'node_modules'].includes(basename(path));
  for (const name of needed.filter((one) => existsSync(join(source, one))))
    cpSync(join(source, name), join(target, name), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
      filter,
    });
}

/** Lets the installed toolchain build a copy whose `go.mod` requires a later patch release. Returns what was changed. */
export function relaxGoVersion(
  goMod: string,
  installed: string,
): { readonly text: string; readonly change?: string } {
  const required = /^go (\d+\.\d+)\.(\d+)$/m.exec(goMod);
  const local = /^(\d+\.\d+)\.(\d+)$/.exec(installed);
  if (required === null || local === null || required[1] !== local[1]) return { text: goMod };
  if (Number(required[2]) <= Number(local[2])) return { text: goMod };
  const text = goMod.replace(required[0], `go ${installed}`).replace(/^toolchain .*\n/m, '');
  return {
    text,
    change: `go.mod of the copy requires Go ${installed} instead of ${required[1]}.${required[2]}`,
  };
}
