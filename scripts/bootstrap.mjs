// Sets up a checkout: installs npm packages, compiles, and installs Debian packages. Skips each step that has
// nothing to do.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from './debian-packages.mjs';
import { inPath, missingOf } from './prerequisites.mjs';
import { defaultPauses, registryErrorText, runWithRetries } from './registry.mjs';

export { inPath };

export const root = fileURLToPath(new URL('..', import.meta.url));

/** @typedef {import('./registry.mjs').Outcome} Outcome */
/** @typedef {import('./prerequisites.mjs').Prerequisite} Prerequisite */
/** @typedef {import('./prerequisites.mjs').SetName} SetName */

/**
 * Runs a step. Prints its title before and its duration after.
 *
 * @param {string} title
 * @param {(printProgress: (text: string) => void) => Outcome} run
 * @returns {Outcome}
 */
function step(title, run) {
  const begin = Date.now();
  process.stderr.write(`• ${title} …`);
  const result = run((text) => process.stderr.write(`\n  ${text} …`));
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  process.stderr.write(result.ok ? ` ${seconds} s\n` : ` failed after ${seconds} s\n`);
  return result;
}

/**
 * Prints an error and exits with 1.
 *
 * @param {string} text
 * @returns {never}
 */
function fail(text) {
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exit(1);
}

/**
 * Installs the npm packages if package-lock.json has changed since the last installation.
 *
 * @param {readonly number[]} pauses
 */
function installModules(pauses) {
  const stamp = join(root, 'node_modules', '.kata-agent-lock');
  const digest = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const title = 'installing npm packages';
  // npm's cache has the downloads of an earlier try.
  const args = ['ci', '--no-audit', '--no-fund', '--prefer-offline'];
  const { ok, output, registryError } = step(title, (printProgress) =>
    runWithRetries('npm', args, { cwd: root, printProgress, pauses }),
  );
  if (!ok)
    fail(
      registryError === undefined
        ? output
        : registryErrorText(title, registryError, '`npm config get registry`'),
    );
  writeFileSync(stamp, digest);
}

/** Compiles. The compiler skips what has not changed. */
function compile() {
  mkdirSync(join(root, 'build'), { recursive: true });
  const args = [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'];
  const { ok, output } = step('compiling', () => {
    const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
    const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
    return { ok: result.status === 0, output };
  });
  if (!ok) fail(output);
}

/**
 * Installs the missing Debian packages of a set if this is a Debian machine and the user is root. Returns what
 * is still missing.
 *
 * @param {SetName} set
 * @param {readonly number[]} pauses
 * @returns {readonly Prerequisite[]}
 */
function installDebianPackages(set, pauses) {
  const missing = missingOf(set);
  const available = missing.filter(({ unavailable }) => unavailable === undefined);
  if (available.length === 0 || process.getuid?.() !== 0 || !inPath('apt-get')) return missing;
  const problems = installPackages(
    [...new Set(available.map((prerequisite) => prerequisite.package))],
    step,
    pauses,
  );
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  return missingOf(set);
}

/** Installs the npm packages and compiles. */
export function prepare(pauses = defaultPauses) {
  process.env['PATH'] = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  installModules(pauses);
  compile();
}

/**
 * Installs the npm packages, compiles, and installs a set of Debian packages (scripts/prerequisites.mjs).
 * Returns what is still missing. `pauses`: seconds between tries of a registry that does not respond.
 *
 * @param {SetName} set
 * @returns {readonly Prerequisite[]}
 */
export function bootstrap(set, pauses = defaultPauses) {
  prepare(pauses);
  return installDebianPackages(set, pauses);
}

/**
 * Returns a message with the missing programs and files, and how to install them.
 *
 * @param {readonly Prerequisite[]} missing
 */
export function missingText(missing) {
  const packages = [...new Set(missing.map((prerequisite) => prerequisite.package))];
  const programs = missing.flatMap((prerequisite) => prerequisite.missing);
  return `missing: ${programs.join(', ')}\nhelp: on Debian, run as root: apt-get install ${packages.join(' ')}`;
}

/**
 * Installs a set of Debian packages that a program requires. Exits with 1 and a message if one is missing.
 *
 * @param {SetName} set
 */
export function installAll(set) {
  const missing = installDebianPackages(set, defaultPauses).filter(
    ({ unavailable }) => unavailable === undefined,
  );
  if (missing.length > 0) fail(missingText(missing));
}
