// Compiles and runs a program of guest-image/ or dev/.
import { bootstrap, prepare, root } from './bootstrap.mjs';

/**
 * Runs a program of a package with this process's arguments, after installing npm packages and compiling.
 * `--compiled` skips that. With a `set`, also installs the Debian packages of that set, and ignores
 * `--compiled`.
 *
 * @param {string} tool directory of the package, such as `dev/vm`
 * @param {string} [program]
 * @param {import('./prerequisites.mjs').SetName} [set]
 */
export async function runTool(tool, program = 'main', set) {
  if (set !== undefined) bootstrap(set);
  else if (!process.argv.includes('--compiled')) prepare();
  await import(`${root}${tool}/dist/${program}.js`);
}
