import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Call, type Connection, latency, load, overUnix } from './connections.js';
import { type ListeningAgent, withAgent } from './listening-agent.js';
import { median } from './median.js';
import { type Link, links } from './realm-links.js';
import type { Row } from './row.js';

const readBytes = 32 * 1024;

/** What is called, with the program that answers: reads need a guest that has something to read at any time. */
const calls: readonly { readonly name: string; readonly answers: 'agent' | 'server'; readonly call: Call }[] =
  [
    { name: 'Health.Check', answers: 'agent', call: ({ health }) => health.check({}) },
    {
      name: 'ReadStdout 32 KiB',
      answers: 'server',
      call: async ({ agent }) => {
        const { data } = await agent.readStdout({ containerId: 'c', execId: 'c', len: readBytes });
        if (data.length !== readBytes) throw new Error(`a read of ${data.length} bytes`);
      },
    },
  ];

/**
 * Measures calls of an agent over each kind of connection against those over its unix socket, and the memory that each kind
 * costs. The client shares the processors with the agent and the realm.
 */
export async function measureLinks(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-realm-'));
  const server = fileURLToPath(new URL('listeners-server.js', import.meta.url));
  const rows: Row[] = [];
  try {
    for (const [index, makeLink] of links.entries()) {
      const memory: number[] = [];
      for (const { name, answers, call } of calls) {
        const place = join(directory, `${index}-${answers}`);
        mkdirSync(place);
        const link = await makeLink(place);
        try {
          const options = {
            program: answers === 'agent' ? program : server,
            directory: join(place, 'agent'),
          };
          const measured = await withAgent({ ...options, listener: link.listener }, async (agent) => {
            const connection = await link.connect();
            await call(connection);
            connection.close();
            if (answers === 'agent') memory.push(agent.megabytes());
            return await compare(name, call, link, agent, quick);
          });
          rows.push(...measured);
        } finally {
          await link.close();
        }
        if (answers === 'agent') rows.push(await memoryRow(link, memory, program, place));
      }
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  return rows;
}

/** Measures in turn, so that other work on the machine slows both. */
async function compare(
  name: string,
  call: Call,
  link: Link,
  agent: ListeningAgent,
  quick: boolean,
): Promise<Row[]> {
  const milliseconds = quick ? 200 : 1_000;
  const rounds = quick ? 2 : 5;
  const rows: Row[] = [];
  const inTurn = async <T>(
    measure: (connection: Connection) => Promise<T>,
  ): Promise<{ ours: T[]; unix: T[] }> => {
    const results = { ours: [] as T[], unix: [] as T[] };
    for (let round = 0; round < rounds; round += 1) {
      for (const [kind, connect] of [
        ['unix', () => overUnix(agent.socket)],
        ['ours', () => link.connect()],
      ] as const) {
        const connection = await connect();
        const result = await measure(connection);
        connection.close();
        // The first round warms up.
        if (round > 0) results[kind].push(result);
      }
    }
    return results;
  };
  const row = (what: string, unit: string, ours: readonly number[], theirs: readonly number[]): void =>
    void rows.push({
      what: `${link.name}: ${name}, ${what}`,
      unit,
      ours: median(ours),
      against: { name: 'unix socket', value: median(theirs) },
    });
  const processorMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (agent.processorSeconds() + link.processorSeconds()) * 1_000 + (user + system) / 1_000;
  };
  for (const callers of [1, 16, 64]) {
    const { ours, unix } = await inTurn(async (connection) => {
      const before = processorMs();
      const { calls, perSecond } = await load(connection, call, callers, milliseconds);
      return { perSecond, microseconds: ((processorMs() - before) / calls) * 1_000 };
    });
    for (const [part, unit] of [
      ['perSecond', '1/s'],
      ['microseconds', 'µs'],
    ] as const) {
      const what = part === 'perSecond' ? '' : ', processor of all ends';
      const of = (values: typeof ours): readonly number[] => values.map((each) => each[part]);
      row(`${callers} ${callers === 1 ? 'caller' : 'callers'}${what}`, unit, of(ours), of(unix));
    }
  }
  const times = await inTurn((connection) => latency(connection, call, milliseconds));
  for (const part of ['median', 'p99'] as const) {
    const microseconds = (values: typeof times.ours): number[] => values.map((each) => each[part] * 1_000);
    row(part, 'µs', microseconds(times.ours), microseconds(times.unix));
  }
  return rows;
}

/** The memory of an idle agent after its first call, and of one with a unix socket only. */
async function memoryRow(
  { name }: Link,
  withLink: readonly number[],
  program: string,
  place: string,
): Promise<Row> {
  const without = await withAgent(
    { program, directory: join(place, 'plain'), listener: '' },
    async (agent) => {
      const connection = await overUnix(agent.socket);
      await connection.health.check({});
      connection.close();
      return agent.megabytes();
    },
  );
  return {
    what: `${name}: memory of the agent beyond that with a unix socket (${without.toFixed(1)} MB)`,
    unit: 'MB',
    ours: median(withLink) - without,
    goal: { max: 6 },
  };
}
