import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RunningAgent, startAgent } from './agent-program.js';
import { tracked } from './children.js';
import type { Row } from './row.js';

const peerProgram = fileURLToPath(new URL('hostile-peer.js', import.meta.url));

const cases = [
  'bomb',
  'declared-2GiB',
  'even-id',
  'repeated-id',
  'never-opened-id',
  'unknown-type',
  'random-bytes',
  'byte-a-second',
  '1000-connections',
  'never-reads',
];

/**
 * Measures the effect of a hostile peer on others: the longest wait of another client for Health.Check, and the growth
 * of the agent's resident memory. `quiet` is the baseline without a peer.
 */
export async function measureHostilePeers(program: string, quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of ['quiet', ...cases])
    rows.push(...(await measureCase(program, name, quick ? 1_000 : 5_000)));
  return rows;
}

async function measureCase(program: string, name: string, milliseconds: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  const address = join(directory, 'agent.sock');
  let running: RunningAgent | undefined;
  let peer: ChildProcess | undefined;
  try {
    running = await startAgent(program, directory, address);
    const agent = running.child;
    await delay(200);
    const client = connect(address);
    await once(client, 'connect');
    await probe(client, agent, 500);
    const before = residentMegabytes(agent.pid);
    if (name !== 'quiet')
      peer = tracked(spawn(process.execPath, [peerProgram, name, address], { stdio: 'inherit' }));
    const { pause, megabytes } = await probe(client, agent, milliseconds);
    if (agent.exitCode !== null) throw new Error(`${name}: the agent ended with ${agent.exitCode}`);
    const bounds = name === 'quiet' ? [{}, {}] : [{ goal: { max: 50 } }, { goal: { max: 64 } }];
    return [
      { what: `${name}: longest wait of another client`, unit: 'ms', ours: pause, ...bounds[0] },
      {
        what: `${name}: growth of resident memory`,
        unit: 'MB',
        ours: Math.max(0, megabytes - before),
        ...bounds[1],
      },
    ];
  } finally {
    peer?.kill('SIGKILL');
    await running?.stop();
    rmSync(directory, { recursive: true });
  }
}

/** Calls Health.Check repeatedly for a time; returns the longest wait and the largest memory. */
async function probe(
  client: Socket,
  agent: ChildProcess,
  milliseconds: number,
): Promise<{ readonly pause: number; readonly megabytes: number }> {
  let pause = 0;
  let megabytes = 0;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const begin = performance.now();
    client.write(check());
    await once(client, 'data');
    pause = Math.max(pause, performance.now() - begin);
    megabytes = Math.max(megabytes, residentMegabytes(agent.pid));
    await delay(1);
  }
  return { pause, megabytes };
}

let nextId = 1;

function check(): Buffer {
  const body = Buffer.concat([Buffer.from('\x0a\x0bgrpc.Health\x12\x05Check', 'latin1')]);
  const header = Buffer.alloc(10);
  header.writeUInt32BE(body.length, 0);
  header.writeUInt32BE(nextId, 4);
  header.writeUInt8(1, 8);
  nextId += 2;
  return Buffer.concat([header, body]);
}

/** VmRSS of /proc/PID/status in 10^6 bytes. */
function residentMegabytes(pid: number | undefined): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return (Number(kibibytes) * 1024) / 1e6;
}
