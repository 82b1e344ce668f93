import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import type { Qmp } from '../vm/machine.js';

/** What the script exports; it is JavaScript. */
const qmp = (await import(`${repository}scripts/vm-qmp.mjs`)) as {
  readonly Qmp: { open(path: string, limits?: Readonly<Record<string, number>>): Promise<Qmp> };
};

/** A connection to a QEMU that answers as `answer` says, by the command's name; nothing for undefined. */
async function withQmp(
  answer: (name: string, socket: Socket) => unknown,
  limits: Readonly<Record<string, number>>,
  act: (connection: Qmp) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-qmp-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    createInterface({ input: socket }).on('line', (line) => {
      const { execute, id } = JSON.parse(line) as { readonly execute: string; readonly id: number };
      const result = execute === 'qmp_capabilities' ? {} : answer(execute, socket);
      if (result !== undefined) socket.write(`${JSON.stringify({ return: result, id })}\n`);
    });
  });
  try {
    server.listen(join(folder, 'qmp.sock'));
    await once(server, 'listening');
    const connection = await qmp.Qmp.open(join(folder, 'qmp.sock'), limits);
    await act(connection);
    connection.close();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  }
}

describe('QMP is not waited for without end', () => {
  it('when the guest keeps the device', async () => {
    await withQmp(
      () => ({}),
      { unplug: 1 },
      async (connection) => {
        await assert.rejects(
          connection.unplug('disk'),
          /unplugging disk: the guest keeps the device, in 1 s/,
        );
      },
    );
  });

  it('when QEMU ends before the guest has let go of the device', async () => {
    const ends = (_: string, socket: Socket): object => {
      setImmediate(() => socket.end());
      return {};
    };
    await withQmp(ends, {}, async (connection) => {
      await assert.rejects(connection.unplug('disk'), /unplugging disk: QEMU closed the connection/);
    });
  });

  it('when QEMU does not answer', async () => {
    await withQmp(
      () => undefined,
      { answer: 5 },
      async (connection) => {
        await assert.rejects(connection.execute('stop'), /stop: QEMU does not answer, in 5 s/);
      },
    );
  });

  it('and a device that is gone is gone', async () => {
    const gone = (_: string, socket: Socket): object => {
      setImmediate(() => socket.write('{"event":"DEVICE_DELETED","data":{"device":"disk"}}\n'));
      return {};
    };
    await withQmp(gone, {}, (connection) => connection.unplug('disk'));
  });
});
