// Brings a checkout to the point where it runs: node modules, compiled code, Debian packages.
// Each step is skipped when it has nothing to do, so that a second run is quick.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from './debian-packages.mjs';
import { inPath, missingOf } from './prerequisites.mjs';
import { faultText, patiently, usualPauses } from './registry.mjs';

export { inPath };

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Prints a step's title, runs it, and prints how long it took. `run` answers `ok` and, when that is false, `said`. */
function step(title, run) {
  const begin = Date.now();
  process.stderr.write(`• ${title} …`);
  const result = run((text) => process.stderr.write(`\n  ${text} …`));
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  process.stderr.write(result.ok ? ` ${seconds} s\n` : ` failed after ${seconds} s\n`);
  return result;
}

function end(text) {
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exit(1);
}

/** Installs the node modules when the lockfile is not the one that was installed last. */
function installModules(pauses) {
  const stamp = join(root, 'node_modules', '.kata-agent-lock');
  const digest = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const title = 'installing npm packages';
  // What an earlier try downloaded is in npm's cache.
  const args = ['ci', '--no-audit', '--no-fund', '--prefer-offline'];
  const { ok, said, fault } = step(title, (say) => patiently('npm', args, { cwd: root, say, pauses }));
  if (!ok) end(fault === undefined ? said : faultText(title, fault, '`npm config get registry`'));
  writeFileSync(stamp, digest);
}

/** Compiles; the compiler itself knows what has changed. */
function compile() {
  mkdirSync(join(root, 'build'), { recursive: true });
  const args = [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'];
  const { ok, said } = step('compiling', () => {
    const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
    const said = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
    return { ok: result.status === 0, said };
  });
  if (!ok) end(said);
}

/**
 * Installs the Debian packages of a set when this is a Debian machine and we are root: all that can be had.
 * Returns what is missing in the end.
 */
function installDebianPackages(set, pauses) {
  const missing = missingOf(set);
  const wanted = missing.filter(({ lacks }) => lacks === undefined);
  if (wanted.length === 0 || process.getuid?.() !== 0 || !inPath('apt-get')) return missing;
  const problems = installPackages([...new Set(wanted.map((one) => one.package))], step, pauses);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  return missingOf(set);
}

/**
 * Does all set-up for a set of packages (scripts/prerequisites.mjs) and returns what is still missing of it. `pauses`: seconds
 * between two tries of a registry that does not answer.
 */
export function bootstrap(set, pauses = usualPauses) {
  process.env.PATH = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  installModules(pauses);
  compile();
  return installDebianPackages(set, pauses);
}

/** Names what is missing and can be installed, and how. */
export function missingText(missing) {
  const packages = [...new Set(missing.map((one) => one.package))];
  const programs = missing.flatMap(({ absent }) => absent);
  return `missing: ${programs.join(', ')} (on Debian, as root: apt-get install ${packages.join(' ')})`;
}

/** The same for a program that can do nothing without them: it ends with 1, and says what to install. */
export function bootstrapAll(set) {
  const missing = bootstrap(set).filter(({ lacks }) => lacks === undefined);
  if (missing.length > 0) end(missingText(missing));
}
