import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { agentArguments, agentProgram } from './agent-program.js';
import { median } from './median.js';
import type { Row } from './row.js';

interface Start {
  readonly milliseconds: number;
  readonly megabytes: number;
}

/** Time from the start of the process until it serves, and its resident memory then: the agent against bare Node. */
export async function measureStartup(quick: boolean): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const { program, bundled } = agentProgram();
    const bare: Start[] = [];
    const agent: Start[] = [];
    for (let round = 0; round < (quick ? 3 : 15); round += 1) {
      const address = join(folder, `agent-${round}`);
      bare.push(await startBare());
      agent.push(await startAgent([program, ...agentArguments(folder, address)], address));
    }
    const what = bundled ? 'the bundle' : 'the agent, not bundled';
    const row = (title: string, unit: string, key: keyof Start, most: number): Row => ({
      what: `${what}: ${title}`,
      unit,
      ours: median(agent.map((start) => start[key])),
      against: { name: 'bare node', value: median(bare.map((start) => start[key])) },
      goal: { most },
    });
    return [row('start to ready', 'ms', 'milliseconds', 3.7), row('resident memory', 'MB', 'megabytes', 1.5)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Bare Node that listens on nothing: from its start to its first word. */
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

async function startAgent(args: readonly string[], address: string): Promise<Start> {
  const begin = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = once(child, 'exit');
  while (!(await accepts(address))) {
    if (child.exitCode !== null) throw new Error(`the agent ended before it listened:\n${said}`);
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

/** VmRSS of /proc/PID/status in 10^6 bytes, once the process has come to rest. */
async function residentMegabytes(pid: number | undefined): Promise<number> {
  await delay(200);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return (Number(kibibytes) * 1024) / 1e6;
}
