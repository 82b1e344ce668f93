import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { withPureCgroups } from '@kata-agent/setup/pure-cgroups';

import { tracked } from './children.js';
import { root } from './go-programs.js';
import { agentCommand } from './node-command.js';

let made: string | undefined;

/** Returns the agent to measure: the bundle, built on first use. Throws the bundler's errors. */
export function bundledAgent(): string {
  if (made !== undefined) return made;
  const script = join(root, 'scripts', 'bundle.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the bundle cannot be made:\n${stderr}`);
  made = join(root, 'build', 'bundle', 'kata-agent.cjs');
  return made;
}

/** Returns `kata-agent-ctl` of the bundle, which is made on first use. */
export function bundledClient(): string {
  bundledAgent();
  return join(root, 'build', 'client', 'kata-agent-ctl.mjs');
}

/** Returns `kata-realm` of the bundle, which is made on first use. */
export function bundledRealm(): string {
  bundledAgent();
  return join(root, 'build', 'realm', 'kata-realm.mjs');
}

/** Writes a restricted configuration like examples/start.toml, with an audit log, in a directory of the benchmark. */
export function configurationText(directory: string, runtime?: string): string {
  return [
    '[agent]',
    ...(runtime === undefined ? [] : [`oci_runtime = ${JSON.stringify(runtime)}`]),
    // The requests have no masked paths: plain runc has none either.
    'privileged_containers = "allow"',
    `guest_paths = [${JSON.stringify(directory)}]`,
    '[api]',
    'release = "4.1"',
    `allowed_endpoints = ["@pod", "@stdio"${runtime === undefined ? '' : ', "ExecProcess"'}]`,
    '[audit]',
    `file = "${join(directory, 'audit.log')}"`,
    '',
  ].join('\n');
}

/** The arguments of an agent that shares nothing with another one on this machine. */
export function ownPlace(directory: string, address: string): readonly string[] {
  return ['--server-addr', `unix://${address}`, '--state-dir', join(directory, 'state')];
}

/** A running agent. */
export interface RunningAgent {
  readonly child: ChildProcess;
  /** Stops in order; resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * Starts an agent with that configuration in a directory. With an OCI runtime, whatever that is, its cgroups are not
 * hybrid. Throws its output if it exits before it listens.
 */
export function startAgent(
  program: string,
  directory: string,
  address: string,
  runtime?: string,
): Promise<RunningAgent> {
  return startConfigured(program, directory, address, configurationText(directory, runtime), runtime);
}

/** The same with another configuration. */
export async function startConfigured(
  program: string,
  directory: string,
  address: string,
  configuration: string,
  runtime?: string,
): Promise<RunningAgent> {
  const file = join(directory, 'config.toml');
  writeFileSync(file, configuration, { mode: 0o600 });
  const words = [...agentCommand(program), '-c', file, ...ownPlace(directory, address)];
  const [command = '', ...more] = runtime === undefined ? words : withPureCgroups(words);
  const child = tracked(spawn(command, more, { stdio: ['ignore', 'ignore', 'pipe'] }));
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // Later output is read and discarded, so that the agent never blocks.
    if (output.length < 64 * 1024) output += text;
  });
  const exited = once(child, 'close');
  while (!existsSync(address)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      await exited;
      throw new Error(`the agent ended before it listened:\n${output}`);
    }
    await delay(5);
  }
  return {
    child,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
