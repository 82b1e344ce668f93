import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { startAgent, startConfigured } from './agent-program.js';
import type { GoPrograms } from './go-programs.js';
import { median } from './median.js';
import { residentMegabytes } from './processes.js';
import { runForJson, startProgram } from './program.js';
import type { Goal, Row } from './row.js';

const titles = { WaitProcess: 'WaitProcess', ReadStdout: 'ReadStdout 32 KiB' } as const;
type Method = keyof typeof titles;
const methods: readonly Method[] = ['WaitProcess', 'ReadStdout'];
const callers = [1, 16, 64] as const;

/** Each call goes through two connections and two programs instead of one, and is authorized and recorded. */
const goal: Goal = { min: 0.2 };

interface Load {
  readonly calls: number;
  readonly seconds: number;
  readonly p50us: number;
}

/**
 * Measures calls per second from Go's client to Go's server, directly and through an agent in forward mode with its log on,
 * alternating. And the memory of that agent, against that of one with a guest.
 */
export async function measureForward(program: string, go: GoPrograms, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  const [inner, own] = [join(directory, 'inner'), join(directory, 'own')];
  mkdirSync(inner, { mode: 0o700 });
  mkdirSync(own, { mode: 0o700 });
  const addresses = { direct: join(inner, 'agent.sock'), forwarded: join(own, 'agent.sock') };
  const server = await startProgram(go.server, ['-listen', addresses.direct]);
  try {
    const normal = await memoryOfGuest(program, directory);
    const agent = await startConfigured(
      program,
      own,
      addresses.forwarded,
      configurationText(own, addresses.direct),
    );
    try {
      await delay(1_000);
      const idle = residentMegabytes(agent.child.pid);
      const found = new Map<string, Load[]>();
      for (let round = 0; round < (quick ? 4 : 10); round += 1) {
        for (const method of methods) {
          for (const count of callers) {
            for (const way of ['direct', 'forwarded'] as const) {
              const load = await loadOf(go, addresses[way], method, count, quick ? '300ms' : '1s');
              const key = `${way} ${method} ${count}`;
              // The first round warms up.
              if (round > 0) found.set(key, [...(found.get(key) ?? []), load]);
            }
          }
        }
      }
      const loaded = residentMegabytes(agent.child.pid);
      const of = (way: 'direct' | 'forwarded', method: Method, count: number): readonly Load[] =>
        found.get(`${way} ${method} ${count}`) ?? [];
      const rate = (loads: readonly Load[]): number =>
        median(loads.map(({ calls, seconds }) => calls / seconds));
      const latency = (loads: readonly Load[]): number => median(loads.map(({ p50us }) => p50us));
      return [
        ...methods.flatMap((method) =>
          callers.map(
            (count): Row => ({
              what: `${titles[method]} forwarded, ${count} caller${count === 1 ? '' : 's'}`,
              unit: 'calls/s',
              ours: rate(of('forwarded', method, count)),
              against: { name: 'Go directly', value: rate(of('direct', method, count)) },
              goal,
            }),
          ),
        ),
        {
          what: 'WaitProcess forwarded, 1 caller: median',
          unit: 'µs',
          ours: latency(of('forwarded', 'WaitProcess', 1)),
          against: { name: 'Go directly', value: latency(of('direct', 'WaitProcess', 1)) },
        },
        {
          what: 'resident memory in forward mode',
          unit: 'MB',
          ours: idle,
          against: { name: 'with a guest', value: normal },
          goal: { max: 1 },
        },
        { what: 'resident memory in forward mode, after the load', unit: 'MB', ours: loaded },
      ];
    } finally {
      await agent.stop();
    }
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true });
  }
}

async function memoryOfGuest(program: string, directory: string): Promise<number> {
  const place = join(directory, 'guest');
  mkdirSync(place, { mode: 0o700 });
  const agent = await startAgent(program, place, join(place, 'agent.sock'));
  try {
    await delay(1_000);
    return residentMegabytes(agent.child.pid);
  } finally {
    await agent.stop();
  }
}

async function loadOf(
  go: GoPrograms,
  address: string,
  method: Method,
  count: number,
  length: string,
): Promise<Load> {
  const args = ['-address', address, '-method', method, '-callers', String(count), '-for', length];
  return (await runForJson(go.client, args)) as Load;
}

function configurationText(directory: string, inner: string): string {
  return [
    '[agent]',
    `forward = "unix://${inner}"`,
    '[api]',
    'release = "4.1"',
    'allowed_endpoints = ["@pod", "@stdio"]',
    '[audit]',
    `file = "${join(directory, 'audit.log')}"`,
    '',
  ].join('\n');
}
