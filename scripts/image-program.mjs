// The agent as a guest has it: one file, and what V8 made of it.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleAgentAsOne } from './bundle-programs.mjs';
import { run } from './image-packages.mjs';

/** The file of it that Node.js reads first. */
export const firstFile = 'kata-agent.cjs';

/** Makes it for these build facts in a folder of its own; answers its files by name. */
export async function compiledAgent(folder, facts) {
  const [program, cache] = ['cjs', 'cache'].map((kind) => join(folder, `program.${kind}`));
  await bundleAgentAsOne(folder, program, facts);
  const compiler = fileURLToPath(new URL('image-compile.mjs', import.meta.url));
  const said = run(process.execPath, ['--hash-seed=1', compiler, program, cache], { env: {} });
  if (!/^\{"ok":(true|false)/.test(said))
    throw new Error(`the agent as one file says nothing of a configuration: ${said}`);
  const files = {
    [firstFile]: readFileSync(new URL('../image/start.cjs', import.meta.url)),
    'program.cjs': readFileSync(program),
    'program.cache': readFileSync(cache),
  };
  rmSync(folder, { recursive: true });
  return files;
}
