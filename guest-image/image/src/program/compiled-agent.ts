// Builds the agent of a guest: a single script, and V8's code cache for it.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { bundleAgentAsSingleFile, type SingleFileOptions } from '@kata-agent/tool-bundle/programs';
import { agentNodeOptions } from '../node/releases.js';

/** The name of the script that Node.js runs (image/start.cjs). */
export const entryFile = 'kata-agent.cjs';

/**
 * Builds the agent, and returns its files by name. Uses the Node.js of the image with its
 * options, because V8 accepts a code cache only in the same release and under the same flags. Deletes the
 * directory before and after.
 */
export async function compiledAgent(
  directory: string,
  options: SingleFileOptions,
  nodePath: string,
): Promise<ReadonlyMap<string, Buffer>> {
  const program = join(directory, 'program.cjs');
  const cache = join(directory, 'program.cache');
  await bundleAgentAsSingleFile(directory, program, options);
  const compiler = fileURLToPath(new URL('compile.js', import.meta.url));
  const output = run(nodePath, ['--hash-seed=1', ...agentNodeOptions, compiler, program, cache], { env: {} });
  if (!/^\{"ok":(true|false)/.test(output))
    throw new Error(`the compiled agent did not check a configuration: ${output}`);
  const start = readFileSync(join(root, 'image', 'start.cjs'));
  const files = new Map([
    [entryFile, start],
    ['program.cjs', readFileSync(program)],
    ['program.cache', readFileSync(cache)],
  ]);
  checkCodeCache(directory, start, nodePath);
  rmSync(directory, { recursive: true });
  return files;
}

/**
 * Starts the agent as in a guest. Throws if it fails or prints that V8 rejected the code cache
 * (image/start.cjs).
 */
function checkCodeCache(directory: string, start: Buffer, nodePath: string): void {
  const entry = join(directory, entryFile);
  writeFileSync(entry, start);
  const { status, stderr } = spawnSync(nodePath, [...agentNodeOptions, entry, '--version'], {
    encoding: 'utf8',
    env: {},
  });
  if (status !== 0 || stderr !== '')
    throw new Error(
      `the compiled agent does not start in ${nodePath}, or without its code cache (exit code ${status}): ${stderr}`,
    );
}
