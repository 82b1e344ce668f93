import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { agentCommand, ownPlace } from './agent-program.js';
import { tracked } from './children.js';
import { root } from './go-programs.js';
import { median } from './median.js';
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
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const minimalConfig = join(root, 'examples', 'minimal.toml');
    const open = bundle(join(directory, 'open'));
    const minimal = bundle(join(directory, 'minimal'), '--config', minimalConfig);
    const config = join(directory, 'config.toml');
    writeFileSync(config, configurationText(directory), { mode: 0o600 });
    const starts: Record<'bare' | 'open' | 'minimal', Start[]> = { bare: [], open: [], minimal: [] };
    const address = join(directory, 'agent.sock');
    const args = ['-c', config, ...ownPlace(directory, address)];
    for (let round = 0; round < (quick ? 3 : 15); round += 1) {
      starts.bare.push(await startBare());
      starts.open.push(await startAgent([...agentCommand(join(open, 'kata-agent.cjs')), ...args], address));
      starts.minimal.push(
        await startAgent([...agentCommand(join(minimal, 'kata-agent.cjs')), ...args], address),
      );
    }
    const of = (name: keyof typeof starts, key: keyof Start): number =>
      median(starts[name].map((start) => start[key]));
    const against = (name: 'open' | 'bare', value: number): Required<Row>['against'] => ({
      name: name === 'open' ? 'the whole' : 'bare node',
      value,
    });
    return [
      {
        what: 'the bundle: start to ready',
        unit: 'ms',
        ours: of('open', 'milliseconds'),
        against: against('bare', of('bare', 'milliseconds')),
        goal: { max: 3.7 },
      },
      {
        what: 'the bundle: resident memory',
        unit: 'MB',
        ours: of('open', 'megabytes'),
        against: against('bare', of('bare', 'megabytes')),
        goal: { max: 1.5 },
      },
      {
        what: 'a bundle for minimal.toml: start to ready',
        unit: 'ms',
        ours: of('minimal', 'milliseconds'),
        against: against('open', of('open', 'milliseconds')),
      },
      {
        what: 'a bundle for minimal.toml: resident memory',
        unit: 'MB',
        ours: of('minimal', 'megabytes'),
        against: against('open', of('open', 'megabytes')),
      },
      {
        what: 'a bundle for minimal.toml: JavaScript',
        unit: 'KiB',
        ours: kibibytesOfJavaScript(minimal),
        against: against('open', kibibytesOfJavaScript(open)),
        goal: { max: 0.95 },
      },
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
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
