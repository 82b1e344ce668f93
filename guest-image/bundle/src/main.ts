// `npm run bundle [-- --config FILE [--embed] [--require-config]] [--out DIR]`
//
// Writes the agent and its native library to build/bundle, for a guest image, kata-agent-ctl to build/client, and kata-realm to
// build/realm.
// With --config the agent has no code of methods that FILE never serves, and no configuration can serve them
// again (R13).
import { join, relative, resolve } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { commandLine, parseOptions } from '@kata-agent/tool-command/command-line';
import { InvalidConfigurationError, planBundle } from './plan.js';
import { bundleAgent, bundleClient, bundleRealm, type BundledProgram } from './programs.js';

const usage = `npm run bundle [-- OPTIONS]
  --config FILE      omit the code of methods that FILE never serves
  --embed            build FILE into the agent, which then reads no other base document
  --require-config   build an agent that does not start without a configuration
  --node FILE        the Node.js that will run the agent; default: this one. Another release compiles the agent at each start
  --out DIR          write only the agent, to DIR; default: build/bundle, with the other programs in build/client and build/realm
  --compiled         skip the check that the packages are compiled
  --help             print this help`;

interface BundleOptions {
  readonly config?: string | undefined;
  readonly embed: boolean;
  readonly 'require-config': boolean;
  readonly node?: string | undefined;
  readonly out?: string | undefined;
  readonly help?: boolean | undefined;
}

function bundleOptions(words: readonly string[]): BundleOptions {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseOptions(words, {
    config: { type: 'string' },
    embed: flag,
    'require-config': flag,
    node: { type: 'string' },
    out: { type: 'string' },
    compiled: flag,
  });
  if (values.embed && values.config === undefined) throw new Error('--embed needs --config FILE');
  return values;
}

const options = commandLine(usage, bundleOptions);

try {
  const { config, embed, node = process.execPath, out } = options;
  const requireConfig = options['require-config'];
  const facts = await planBundle({ file: config, requireConfig, embed });
  const agent = await bundleAgent(resolve(out ?? join(root, 'build', 'bundle')), {
    facts,
    pullsImages: true,
    nodePath: resolve(node),
  });
  report(agent);
  if (facts.leftOut.length > 0) console.log(`  left out: ${facts.leftOut.join(', ')}`);
  if (out === undefined) {
    report(await bundleClient(join(root, 'build', 'client')));
    report(await bundleRealm(join(root, 'build', 'realm')));
  }
} catch (error) {
  if (!(error instanceof InvalidConfigurationError)) throw error;
  console.error(error.message);
  process.exit(1);
}

function report({ file, atStart, onDemand }: BundledProgram): void {
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
  console.log(
    `${relative(process.cwd(), file)}  ${kib(atStart)} at the start, and ${kib(onDemand)} on demand`,
  );
}
