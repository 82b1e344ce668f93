import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Call, overUnix, rate } from './connections.js';
import { withAgent } from './listening-agent.js';
import { overTls, tlsListener } from './realm-links.js';
import type { Row } from './row.js';

const check: Call = ({ health }) => health.check({});

/**
 * Measures calls of one agent over TLS against those over its unix socket, a handshake, and the memory that a `tls://` listener
 * costs. The client shares the processors with the agent.
 */
export async function measureTls(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-tls-'));
  const { listener, client } = tlsListener();
  try {
    const plain = { program, directory: join(directory, 'plain'), listener: '' };
    const without = await withAgent(plain, (agent) => agent.megabytes());
    return await withAgent({ program, directory: join(directory, 'tls'), listener }, async (agent) => {
      const rows: Row[] = [
        {
          what: 'memory with a tls:// listener',
          unit: 'MB',
          ours: agent.megabytes(),
          against: { name: 'without', value: without },
        },
      ];
      const milliseconds = quick ? 500 : 3_000;
      for (const callers of [1, 16, 64]) {
        // In turn, the second round counts.
        const rates = { unix: 0, tls: 0 };
        for (let round = 0; round < 2; round += 1) {
          for (const [kind, connection] of [
            ['unix', await overUnix(agent.socket)],
            ['tls', await overTls(client)],
          ] as const) {
            rates[kind] = await rate(connection, check, callers, milliseconds);
            connection.close();
          }
        }
        const against = { name: 'unix socket', value: rates.unix };
        rows.push({
          what: `Health.Check over TLS, ${callers} callers`,
          unit: '1/s',
          ours: rates.tls,
          against,
        });
      }
      const begin = performance.now();
      const handshakes = quick ? 10 : 100;
      for (let count = 0; count < handshakes; count += 1) {
        const connection = await overTls(client);
        await check(connection);
        connection.close();
      }
      const each = (performance.now() - begin) / handshakes;
      rows.push({ what: 'a handshake and a call, both ends', unit: 'ms', ours: each });
      return rows;
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
