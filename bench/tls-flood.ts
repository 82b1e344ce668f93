import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Health } from '@kata-agent/protocol/health';
import type { Client } from '@kata-agent/ttrpc';

import { tracked } from './children.js';
import type { Row } from './row.js';
import { slowChain } from './slow-chain.js';
import { createAuthority } from './certificates.js';
import { overUnix } from './connections.js';
import { withAgent } from './listening-agent.js';
import { tlsHost, tlsListener, tlsPort } from './realm-links.js';

const flooder = fileURLToPath(new URL('tls-flooder.js', import.meta.url));

/**
 * Measures how long calls on a unix socket wait while a `tls://` listener of the same agent, with its default limits, is
 * flooded: the longest turn of the agent's event loop in CPU time, and the longest wait for Health.Check, which includes
 * waits for the processors that the flood shares with the agent.
 */
export async function measureTlsFlood(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-flood-'));
  const { listener, client: good } = tlsListener('');
  const stranger = createAuthority().client('stranger');
  const floods: readonly (readonly [string, { readonly cert: string; readonly key: string } | undefined])[] =
    [
      ['quiet', undefined],
      ['half-open: 1,000 connections', good],
      ['good certificates: 1,000 handshakes/s', good],
      ['certificates of a stranger: 1,000 handshakes/s', stranger],
      ['chains of 9 KB: 1,000 handshakes/s', slowChain(9_000)],
      ['chains of 15 KB: 1,000 handshakes/s', slowChain(15_000)],
      ['chains of 99 KB: 1,000 handshakes/s', slowChain(99_000)],
    ];
  try {
    const rows: Row[] = [];
    for (const [index, [name, own]] of floods.entries())
      await withAgent(
        { program, directory: join(directory, String(index)), listener, probe: true },
        async (agent) => {
          const connection = await overUnix(agent.socket);
          await waits(connection.health, 1_000);
          await agent.longestTurn();
          const flood =
            own === undefined ? undefined : startFlood(name, own, join(directory, `${index}.json`));
          const { longest, max } = await waits(connection.health, quick ? 2_000 : 10_000);
          flood?.kill('SIGKILL');
          const turn = await agent.longestTurn();
          const goal = own === undefined ? {} : { goal: { max: 50 } };
          rows.push(
            { what: `${name}: longest turn of the agent (CPU)`, unit: 'ms', ours: turn, ...goal },
            { what: `${name}: longest wait for Health.Check`, unit: 'ms', ours: longest },
            { what: `${name}: wait for Health.Check, 99.9 %`, unit: 'ms', ours: max },
          );
          connection.close();
        },
      );
    return rows;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function startFlood(
  name: string,
  own: { readonly cert: string; readonly key: string },
  file: string,
): ChildProcess {
  writeFileSync(file, JSON.stringify({ cert: own.cert, key: own.key }));
  const kind = name.startsWith('half-open') ? 'half-open' : 'handshakes';
  const args = [flooder, kind, tlsHost, String(tlsPort), file];
  return tracked(spawn(process.execPath, args, { stdio: 'inherit' }));
}

/** Calls Health.Check each millisecond for a time. */
async function waits(
  health: Client<typeof Health>,
  milliseconds: number,
): Promise<{ readonly longest: number; readonly max: number }> {
  const all: number[] = [];
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const begin = performance.now();
    await health.check({});
    all.push(performance.now() - begin);
    await delay(1);
  }
  all.sort((a, b) => a - b);
  return { longest: all.at(-1) ?? 0, max: all[Math.floor(all.length * 0.999)] ?? 0 };
}
