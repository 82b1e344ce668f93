import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { tracked } from './children.js';
import { root } from './go-programs.js';

let made: string | undefined;

/** The agent to measure: the bundle, made at the first call that succeeds. Throws what the bundler says. */
export function bundledAgent(): string {
  if (made !== undefined) return made;
  const script = join(root, 'scripts', 'bundle.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the bundle cannot be made:\n${stderr}`);
  const bundles = ['kata-agent.cjs', 'kata-agent.mjs'].map((name) => join(root, 'build', 'bundle', name));
  made = bundles.find((path) => existsSync(path));
  if (made === undefined)
    throw new Error(`the bundle was made, but there is no ${bundles.join(', and no ')}`);
  return made;
}

/** A restricted configuration like examples/start.toml, with a log, in a folder of the benchmark's own. */
export function configurationText(folder: string): string {
  return [
    '[agent]',
    // The requests have no masked paths: plain runc has none either.
    'privileged_containers = "allow"',
    `guest_paths = [${JSON.stringify(folder)}]`,
    '[api]',
    'release = "4.1"',
    'allowed_endpoints = ["@pod", "@stdio"]',
    '[audit]',
    `file = "${join(folder, 'audit.log')}"`,
    '',
  ].join('\n');
}

/** The arguments of an agent that shares nothing with one that runs on this machine already. */
export function ownPlace(folder: string, address: string): readonly string[] {
  return ['--server-addr', `unix://${address}`, '--state-dir', join(folder, 'state')];
}

/** An agent that listens. */
export interface RunningAgent {
  readonly child: ChildProcess;
  /** In order; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts an agent with that configuration in a folder. Throws what the agent said when it ends before it listens. */
export async function startAgent(program: string, folder: string, address: string): Promise<RunningAgent> {
  const file = join(folder, 'config.toml');
  writeFileSync(file, configurationText(folder), { mode: 0o600 });
  const child = tracked(
    spawn(process.execPath, [program, '-c', file, ...ownPlace(folder, address)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // What it says later is read, so that it never waits, and thrown away.
    if (said.length < 64 * 1024) said += text;
  });
  const exited = once(child, 'close');
  while (!existsSync(address)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      await exited;
      throw new Error(`the agent ended before it listened:\n${said}`);
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
