// The agent as a guest has it: one file, and what V8 made of it.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleAgentAsOne } from './bundle-programs.mjs';
import { run } from './image-packages.mjs';

/** Makes it for these build facts in a folder of its own; answers its files by name, `kata-agent.mjs` the first to be read. */
export async function compiledAgent(folder, facts) {
  const [program, cache] = ['cjs', 'cache'].map((kind) => join(folder, `kata-agent.${kind}`));
  await bundleAgentAsOne(folder, program, facts);
  const compiler = fileURLToPath(new URL('image-compile.mjs', import.meta.url));
  const said = run(process.execPath, ['--hash-seed=1', compiler, program, cache], { env: {} });
  if (!/^\d+\.\d+\.\d+/.test(said))
    throw new Error(`the agent as one file does not tell its version: ${said}`);
  const files = {
    'kata-agent.mjs': readFileSync(new URL('../image/start.mjs', import.meta.url)),
    'kata-agent.cjs': readFileSync(program),
    'kata-agent.cache': readFileSync(cache),
  };
  rmSync(folder, { recursive: true });
  return files;
}
