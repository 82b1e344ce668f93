// Compiles and runs a program in tools/.
import { bootstrap, prepare, root } from './bootstrap.mjs';

/**
 * Runs a program of a tool with this process's arguments, after installing npm packages and compiling.
 * `--compiled` skips that. With a `set`, also installs the Debian packages of that set, and ignores
 * `--compiled`.
 *
 * @param {string} tool
 * @param {string} [program]
 * @param {import('./prerequisites.mjs').SetName} [set]
 */
export async function runTool(tool, program = 'main', set) {
  if (set !== undefined) bootstrap(set);
  else if (!process.argv.includes('--compiled')) prepare();
  await import(`${root}tools/${tool}/dist/${program}.js`);
}
