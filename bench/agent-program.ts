import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './go-programs.js';

/** The agent to measure: the bundle when there is one, else the compiled packages. */
export function agentProgram(): { readonly program: string; readonly bundled: boolean } {
  const bundles = ['kata-agent.cjs', 'kata-agent.mjs'].map((name) => join(root, 'build', 'bundle', name));
  const bundle = bundles.find((path) => existsSync(path));
  const compiled = join(root, 'packages', 'agent', 'bin', 'kata-agent.mjs');
  return { program: bundle ?? compiled, bundled: bundle !== undefined };
}

/** A restricted configuration like examples/start.toml, with a log, in a folder of the benchmark's own. */
export function configurationText(folder: string): string {
  return [
    '[api]',
    'release = "4.1"',
    'allowed_endpoints = ["@pod", "@stdio"]',
    '[audit]',
    `file = "${join(folder, 'audit.log')}"`,
    '',
  ].join('\n');
}

/** Writes that configuration and returns the arguments that start an agent with it. */
export function agentArguments(folder: string, address: string): string[] {
  const file = join(folder, 'config.toml');
  writeFileSync(file, configurationText(folder), { mode: 0o600 });
  return ['-c', file, '--server-addr', `unix://${address}`];
}
