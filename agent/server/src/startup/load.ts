import { type Loaded, loadConfiguration, openDocument } from '@kata-agent/config';
import { readFileSync } from 'node:fs';
import { builtInDocument, builtInMethods } from '../build.js';
import { buildFacts } from '../build-facts.js';
import type { CommandLine } from './command-line.js';
import { delivery } from './delivery.js';
import { ruleChecker } from '../policy/policy.js';

/** The default path of the configuration (R2). */
const defaultPath = '/etc/kata-agent/config.toml';

/** Loads the configuration of this process from its command line, its environment and the kernel command line. */
export async function load(line: CommandLine): Promise<Loaded> {
  const kernelCommandLine = readFileSync('/proc/cmdline', 'utf8');
  const builtIn = builtInDocument();
  const handlers = builtInMethods();
  return loadConfiguration({
    flags: line.flags,
    ...(builtIn === undefined ? {} : { builtIn }),
    ...(handlers === undefined ? {} : { handlers }),
    ...(line.configFlag === undefined ? {} : { configFlag: line.configFlag }),
    requireConfig: line.requireConfig || buildFacts.requireConfig,
    relaxedPermissions: line.relaxedPermissions,
    ...(line.stateDirectory === undefined ? {} : { stateDirectory: line.stateDirectory }),
    environment: process.env,
    kernelCommandLine,
    defaultPath,
    files: openDocument({ relaxedPermissions: line.relaxedPermissions }),
    rules: ruleChecker,
    ...delivery({ kernelCommandLine, relaxedPermissions: line.relaxedPermissions }),
  });
}
