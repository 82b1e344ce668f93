import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { boot, type Image, imageOf, scripts, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

describe('a machine’s ports on this one', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-forward-'));
  after(() => rmSync(folder, { recursive: true }));

  it('are chosen by QEMU, for each machine its own', async () => {
    const image = await imageOf('bare', {});
    // Their processors stand still.
    const machines = await Promise.all(
      ['one', 'other'].map((name) => boot(image, join(folder, name), { args: ['-S'] })),
    );
    try {
      const ports = new Set<number | undefined>();
      for (const machine of machines) {
        const socket = machine.connect(scripts.agentPort);
        await once(socket, 'connect');
        ports.add(socket.remotePort);
        socket.destroy();
      }
      assert.equal(ports.size, 2);
    } finally {
      for (const machine of machines) await machine.kill();
    }
  });

  it('are not waited for when QEMU does not come up, and it is said why', async () => {
    const nowhere = { path: '/nowhere/kernel', bytes: 0, sha256: '' };
    const image: Image = { kernel: nowhere, initrd: nowhere, disks: [] };
    await assert.rejects(boot(image, join(folder, 'none')), /QEMU did not come up: .*'\/nowhere\/kernel'/);
  });
});
