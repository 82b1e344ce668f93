// The agent as a guest has it: one file, and what V8 made of it.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleAgentAsOne } from './bundle-programs.mjs';
import { agentNodeOptions } from '../image/node-releases.mjs';
import { run } from './image-packages.mjs';

/** The file of it that Node.js reads first. */
export const firstFile = 'kata-agent.cjs';

/**
 * Makes it for these build facts in a folder of its own, with the Node.js of the image and the options that it has there;
 * answers its files by name. V8 takes its work back only from the same release and under the same flags.
 */
export async function compiledAgent(folder, facts, nodePath) {
  const [program, cache] = ['cjs', 'cache'].map((kind) => join(folder, `program.${kind}`));
  await bundleAgentAsOne(folder, program, facts);
  const compiler = fileURLToPath(new URL('image-compile.mjs', import.meta.url));
  const said = run(nodePath, ['--hash-seed=1', ...agentNodeOptions, compiler, program, cache], { env: {} });
  if (!/^\{"ok":(true|false)/.test(said))
    throw new Error(`the agent as one file says nothing of a configuration: ${said}`);
  const files = {
    [firstFile]: readFileSync(new URL('../image/start.cjs', import.meta.url)),
    'program.cjs': readFileSync(program),
    'program.cache': readFileSync(cache),
  };
  checkTaken(folder, files, nodePath);
  rmSync(folder, { recursive: true });
  return files;
}

/** Throws when the agent, started as in a guest, says that it has to be compiled again (image/start.cjs). */
function checkTaken(folder, files, nodePath) {
  const first = join(folder, firstFile);
  writeFileSync(first, files[firstFile]);
  const { status, stderr } = spawnSync(nodePath, [...agentNodeOptions, first, '--version'], {
    encoding: 'utf8',
    env: {},
  });
  if (status !== 0 || stderr !== '')
    throw new Error(
      `the compiled agent does not start as it should in ${nodePath} (exit code ${status}): ${stderr}`,
    );
}
