import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { ownPlace } from './agent-program.js';
import { tracked } from './children.js';
import { root } from './go-programs.js';
import { median } from './median.js';
import { agentCommand } from './node-command.js';
import type { Row } from './row.js';

interface Start {
  readonly milliseconds: number;
  readonly megabytes: number;
}

/**
 * Measures the time from process start until the agent serves, its resident memory then, and the size of its
 * JavaScript: the agent's bundle against bare Node, and a bundle for examples/minimal.toml against the complete one
 * (R13). The three alternate, so that other load affects all of them.
 */
export async function measureStartup(quick: boolean): Promise<Row[]> {
  return await inDirectory(async (directory) => {
    const open = bundle(join(directory, 'open'));
    const minimal = bundle(join(directory, 'minimal'), '--config', join(root, 'examples', 'minimal.toml'));
    const starts = await alternate(directory, { open, minimal }, quick ? 3 : 15);
    const row = (what: string, key: keyof Start, unit: string): Row => ({
      what: `a bundle for minimal.toml: ${what}`,
      unit,
      ours: median(starts.minimal.map((start) => start[key])),
      against: { name: 'the whole', value: median(starts.open.map((start) => start[key])) },
    });
    return [
      ...againstBareNode(starts),
      await podRulesRow(directory, open, quick ? 3 : 15),
      row('start to ready', 'milliseconds', 'ms'),
      row('resident memory', 'megabytes', 'MB'),
      {
        what: 'a bundle for minimal.toml: JavaScript',
        unit: 'KiB',
        ours: kibibytesOfJavaScript(minimal),
        against: { name: 'the whole', value: kibibytesOfJavaScript(open) },
        goal: { max: 0.95 },
      },
    ];
  });
}

/** Starts the bundle with the generated configuration of a pod of two containers and with one without rules, in turn. */
async function podRulesRow(directory: string, open: string, rounds: number): Promise<Row> {
  const file = join(directory, 'audit.log');
  const pod = readFileSync(join(root, 'examples', 'workloads', 'postgres.toml'), 'utf8');
  const address = join(directory, 'rules.sock');
  // The document is locked: the address is its own, since its default is a port of vsock.
  const placed = pod.replace('[agent]\n', `[agent]\nserver_addr = "unix://${address}"\n`);
  const texts = { none: configurationText(directory), pod: `${placed}\n[audit]\nfile = "${file}"\n` };
  const found: Record<keyof typeof texts, number[]> = { none: [], pod: [] };
  for (let round = 0; round < rounds; round += 1)
    for (const name of ['none', 'pod'] as const) {
      const config = join(directory, `${name}.toml`);
      writeFileSync(config, texts[name], { mode: 0o600 });
      const command = [
        ...agentCommand(join(open, 'kata-agent.cjs')),
        '-c',
        config,
        ...ownPlace(directory, address),
      ];
      found[name].push((await startAgent(command, address)).milliseconds);
    }
  return {
    what: "the bundle with one pod's rules: start to ready",
    unit: 'ms',
    ours: median(found.pod),
    against: { name: 'without rules', value: median(found.none) },
  };
}

/** Measures only the rows of the agent's bundle against bare Node. */
export async function measureStartBesideNode(): Promise<Row[]> {
  return await inDirectory(async (directory) => {
    const open = bundle(join(directory, 'open'));
    return againstBareNode(await alternate(directory, { open }, 9));
  });
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Starts {
  readonly bare: readonly Start[];
  readonly open: readonly Start[];
  readonly minimal: readonly Start[];
}

/** Starts bare Node and each bundle in turn, as often as `rounds` says. */
async function alternate(
  directory: string,
  bundles: Readonly<Partial<Record<'open' | 'minimal', string>>>,
  rounds: number,
): Promise<Starts> {
  const config = join(directory, 'config.toml');
  writeFileSync(config, configurationText(directory), { mode: 0o600 });
  const address = join(directory, 'agent.sock');
  const args = ['-c', config, ...ownPlace(directory, address)];
  const starts: Record<keyof Starts, Start[]> = { bare: [], open: [], minimal: [] };
  for (let round = 0; round < rounds; round += 1) {
    starts.bare.push(await startBare());
    for (const name of ['open', 'minimal'] as const) {
      const path = bundles[name];
      if (path !== undefined)
        starts[name].push(
          await startAgent([...agentCommand(join(path, 'kata-agent.cjs')), ...args], address),
        );
    }
  }
  return starts;
}

function againstBareNode({ open, bare }: Starts): Row[] {
  const row = (what: string, key: keyof Start, unit: string, max: number): Row => ({
    what: `the bundle: ${what}`,
    unit,
    ours: median(open.map((start) => start[key])),
    against: { name: 'bare node', value: median(bare.map((start) => start[key])) },
    goal: { max },
  });
  return [row('start to ready', 'milliseconds', 'ms', 3.7), row('resident memory', 'megabytes', 'MB', 1.5)];
}

/** Bundles the agent into a directory, and returns it. */
function bundle(directory: string, ...options: readonly string[]): string {
  const script = join(root, 'scripts', 'bundle.mjs');
  const { status, stderr } = spawnSync(
    process.execPath,
    [script, '--compiled', '--out', directory, ...options],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`the bundle cannot be made:\n${stderr}`);
  return directory;
}

function configurationText(directory: string): string {
  const file = join(directory, 'audit.log');
  return `[api]\nrelease = "4.1"\nallowed_endpoints = ["@pod"]\n[audit]\nfile = "${file}"\n`;
}

/** The agent's own files; koffi's native library is the same for all. */
function kibibytesOfJavaScript(directory: string): number {
  const files = readdirSync(directory).filter((name) => /\.[cm]js$/.test(name));
  return files.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0) / 1024;
}

/** Bare Node without a listener: from its start to its first output. */
async function startBare(): Promise<Start> {
  const begin = performance.now();
  const child = spawn(process.execPath, ['-e', "process.stdout.write('ready'); process.stdin.resume()"], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  const milliseconds = performance.now() - begin;
  const megabytes = await residentMegabytes(child.pid);
  child.stdin.end();
  await exited;
  return { milliseconds, megabytes };
}

async function startAgent([command = '', ...args]: readonly string[], address: string): Promise<Start> {
  const begin = performance.now();
  const child = tracked(spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] }));
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exited = once(child, 'exit');
  while (!(await accepts(address))) {
    if (child.exitCode !== null) throw new Error(`the agent ended before it listened:\n${output}`);
    if (performance.now() - begin > 30_000) {
      child.kill('SIGTERM');
      throw new Error(`the agent does not listen at ${address}:\n${output}`);
    }
    await delay(1);
  }
  const milliseconds = performance.now() - begin;
  const megabytes = await residentMegabytes(child.pid);
  child.kill('SIGTERM');
  await exited;
  return { milliseconds, megabytes };
}

function accepts(address: string): Promise<boolean> {
  if (!existsSync(address)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** VmRSS of /proc/PID/status in 10^6 bytes, once it is stable. */
async function residentMegabytes(pid: number | undefined): Promise<number> {
  await delay(200);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return (Number(kibibytes) * 1024) / 1e6;
}
