import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { Qmp } from './qmp.js';

/** Connects to a fake QEMU. It responds to each command with the result of `answer`; undefined: no response. */
async function withQmp(
  answer: (name: string, socket: Socket) => unknown,
  limits: Readonly<Record<string, number>>,
  act: (connection: Qmp) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-qmp-'));
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
    server.listen(join(directory, 'qmp.sock'));
    await once(server, 'listening');
    const connection = await Qmp.open(join(directory, 'qmp.sock'), limits);
    await act(connection);
    connection.close();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  }
}

describe('QMP requests have a timeout', () => {
  it('if the guest does not release the device', async () => {
    await withQmp(
      () => ({}),
      { unplug: 1 },
      async (connection) => {
        await assert.rejects(
          connection.unplug('disk'),
          /unplugging disk: the guest did not release the device within 1 s/,
        );
      },
    );
  });

  it('if QEMU exits before the guest has released the device', async () => {
    const ends = (_: string, socket: Socket): object => {
      setImmediate(() => socket.end());
      return {};
    };
    await withQmp(ends, {}, async (connection) => {
      await assert.rejects(connection.unplug('disk'), /unplugging disk: QEMU closed the connection/);
    });
  });

  it('if QEMU does not respond', async () => {
    await withQmp(
      () => undefined,
      { answer: 5 },
      async (connection) => {
        await assert.rejects(connection.execute('stop'), /stop: QEMU did not respond within 5 s/);
      },
    );
  });

  it('and unplug resolves once the device is deleted', async () => {
    const gone = (_: string, socket: Socket): object => {
      setImmediate(() => socket.write('{"event":"DEVICE_DELETED","data":{"device":"disk"}}\n'));
      return {};
    };
    await withQmp(gone, {}, (connection) => connection.unplug('disk'));
  });
});
