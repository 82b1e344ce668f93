import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type GoPrograms, root } from './go-programs.js';
import { median } from './median.js';
import { nodeCommand } from './node-command.js';
import { runForJson, type RunningProgram, startProgram } from './program.js';
import type { Goal, Row } from './row.js';

const methods = ['WaitProcess', 'ReadStdout'] as const;
const allCallers = [1, 16, 64] as const;
type Callers = (typeof allCallers)[number];
type Method = (typeof methods)[number];

/** The goal, with the log on. */
const goals: Readonly<Record<Method, Readonly<Record<Callers, Goal>>>> = {
  WaitProcess: { 1: { min: 0.9 }, 16: { min: 1.1 }, 64: { min: 1.1 } },
  ReadStdout: { 1: { min: 1.3 }, 16: { min: 1.3 }, 64: { min: 1.3 } },
};

const titles: Readonly<Record<Method, string>> = {
  WaitProcess: 'WaitProcess',
  ReadStdout: 'ReadStdout 32 KiB',
};

interface Server {
  readonly name: 'go' | 'ours, log off' | 'ours, log on';
  readonly address: string;
  readonly start: readonly [command: string, ...args: string[]];
}

/**
 * Measures calls per second from Go's client, on one connection, to Go's server and to ours with and without the log,
 * alternating. The median of the rounds counts.
 */
export async function measureCalls(
  go: GoPrograms,
  quick: boolean,
  callers: readonly Callers[] = allCallers,
): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  const servers = serversIn(directory, go);
  const running: RunningProgram[] = [];
  try {
    for (const {
      start: [command, ...args],
    } of servers)
      running.push(await startProgram(command, args));
    const rates = new Map<string, number[]>();
    const load = async (server: Server, method: Method, count: number, length: string): Promise<number> => {
      const args = ['-address', server.address, '-method', method, '-callers', String(count), '-for', length];
      const { calls, seconds } = (await runForJson(go.client, args)) as { calls: number; seconds: number };
      return calls / seconds;
    };
    for (const server of servers) {
      for (const method of methods) await load(server, method, 16, quick ? '300ms' : '2s');
    }
    for (let round = 0; round < (quick ? 3 : 9); round += 1) {
      for (const method of methods) {
        for (const count of callers) {
          for (const server of servers) {
            const key = `${server.name} ${method} ${count}`;
            const rate = await load(server, method, count, quick ? '300ms' : '1s');
            rates.set(key, [...(rates.get(key) ?? []), rate]);
          }
        }
      }
    }
    const rate = (name: Server['name'], method: Method, count: number) =>
      median(rates.get(`${name} ${method} ${count}`) ?? []);
    return methods.flatMap((method) =>
      callers.flatMap((count): Row[] => {
        const against = { name: 'Go', value: rate('go', method, count) };
        const what = `${titles[method]}, ${count} caller${count === 1 ? '' : 's'}`;
        const off = {
          what: `${what}, log off`,
          unit: 'calls/s',
          ours: rate('ours, log off', method, count),
          against,
        };
        const on = {
          what: `${what}, log on`,
          unit: 'calls/s',
          ours: rate('ours, log on', method, count),
          against,
        };
        return [off, { ...on, goal: goals[method][count] }];
      }),
    );
  } finally {
    await Promise.all(running.map((program) => program.stop()));
    rmSync(directory, { recursive: true });
  }
}

function serversIn(directory: string, go: GoPrograms): Server[] {
  const ours = join(root, 'bench', 'dist', 'server.js');
  const at = (name: string) => join(directory, name);
  const [node = '', ...flags] = nodeCommand();
  return [
    { name: 'go', address: at('go'), start: [go.server, '-listen', at('go')] },
    { name: 'ours, log off', address: at('off'), start: [node, ...flags, ours, at('off')] },
    { name: 'ours, log on', address: at('on'), start: [node, ...flags, ours, at('on'), at('audit.log')] },
  ];
}
