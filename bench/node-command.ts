import { join } from 'node:path';

import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';

import { root } from './go-programs.js';

let profiles: string | undefined;

/** From now on each agent and server of ours that the benchmark starts writes a CPU profile into a directory when it ends. */
export function profileInto(directory: string): void {
  profiles = directory;
}

/** Returns the words that start Node.js for a server of ours. */
export function nodeCommand(): readonly string[] {
  if (profiles === undefined) return [process.execPath];
  return [process.execPath, '--cpu-prof', `--cpu-prof-dir=${profiles}`];
}

/**
 * Returns the words that start an agent as its wrapper does, with further options of Node.js. When it is profiled it is not the
 * bundle, whose functions have short names.
 */
export function agentCommand(bundle: string, options: readonly string[] = []): readonly string[] {
  const program = profiles === undefined ? bundle : join(root, 'agent', 'server', 'dist', 'main.js');
  return [...nodeCommand(), ...agentNodeOptions, ...options, program];
}
