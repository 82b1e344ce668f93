// V8's code cache of the agent: what is compiled once, when the agent is built, and not at each start.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runForBytes } from '@kata-agent/setup/run-program';
import { agentNodeOptions } from './node-options.js';
import type { Range } from './start-ranges.js';

/** The script that Node.js runs (image/kata-agent.cjs). */
export const agentFile = 'kata-agent.cjs';
/** The agent, which that script runs. */
export const programFile = 'program.cjs';
const cacheFile = 'program.cache';

/**
 * Writes the code cache of the program in a directory, by the Node.js that will use it: V8 accepts none of another release.
 *
 * @param ranges of the program, whose functions are compiled
 */
export function writeCodeCache(directory: string, ranges: readonly Range[], nodePath: string): void {
  const compiler = fileURLToPath(new URL('compile.js', import.meta.url));
  const files = [programFile, cacheFile].map((name) => join(directory, name));
  const input = Buffer.from(JSON.stringify(ranges));
  const output = runForBytes(nodePath, ['--hash-seed=1', compiler, ...files], { env: {}, input }).toString();
  if (!/^\{"ok":(true|false)/.test(output))
    throw new Error(`the compiled agent did not check a configuration: ${output}`);
}

/** Starts a bundled agent. Throws if it fails or prints that V8 rejected the code cache, with and without the options of a guest. */
export function checkStart(agent: string, nodePath: string): void {
  for (const options of [[], agentNodeOptions]) {
    const { status, stderr } = spawnSync(nodePath, [...options, agent, '--version'], {
      encoding: 'utf8',
      env: {},
    });
    if (status !== 0 || stderr !== '')
      throw new Error(
        `the compiled agent does not start in ${nodePath}, or without its code cache (exit code ${status}): ${stderr}`,
      );
  }
}
