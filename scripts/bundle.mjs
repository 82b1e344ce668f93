// `npm run bundle [-- --config FILE [--embed] [--require-config]] [--out DIR]`
//
// Writes build/bundle, which goes into a guest's image: the agent, and the one native library it needs. Beside it, in
// build/client, the client, which does not. With --config the agent has no code of the methods that FILE never serves,
// and no configuration brings them back (R13).
import { parseArgs } from 'node:util';
import { join, relative, resolve } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

const usage = `npm run bundle [-- OPTIONS]
  --config FILE      leave out the code of the methods that FILE never serves
  --embed            build FILE into the agent, which then reads no other
  --require-config   an agent that does not start without a configuration
  --out DIR          the agent alone, into DIR; default: build/bundle
  --compiled         the packages are compiled: do not look again`;

function commandLine() {
  const flag = { type: 'boolean', default: false };
  try {
    const { values } = parseArgs({
      options: {
        config: { type: 'string' },
        embed: flag,
        'require-config': flag,
        out: { type: 'string' },
        compiled: flag,
        help: flag,
      },
    });
    if (values.embed && values.config === undefined) throw new Error('--embed needs --config FILE');
    return values;
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (!options.compiled) bootstrap('demo');
const { bundleAgent, bundleClient } = await import('./bundle-programs.mjs');
const { NoSuchBundle, planBundle } = await import('./bundle-plan.mjs');

try {
  const { config, embed, out } = options;
  const requireConfig = options['require-config'];
  const facts = await planBundle({ file: config, requireConfig, embed });
  const agent = await bundleAgent(resolve(out ?? join(root, 'build', 'bundle')), facts);
  report(agent);
  if (facts.leftOut.length > 0) console.log(`  left out: ${facts.leftOut.join(', ')}`);
  if (out === undefined) report(await bundleClient(join(root, 'build', 'client')));
} catch (error) {
  if (!(error instanceof NoSuchBundle)) throw error;
  console.error(error.message);
  process.exit(1);
}

function report({ file, atStart, late }) {
  const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
  console.log(
    `${relative(process.cwd(), file)}  ${kib(atStart)}, and ${kib(late)} that are loaded when needed`,
  );
}
