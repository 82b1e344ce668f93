import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { agentPort } from '@kata-agent/tool-vm/inside/ports';
import { boot, type Image, imageOf, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

describe('forwarded ports of a machine', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-forward-'));
  after(() => rmSync(directory, { recursive: true }));

  it('are chosen by QEMU, different for each machine', async () => {
    const image = await imageOf('bare', {});
    // Their CPUs are stopped.
    const machines = await Promise.all(
      ['one', 'other'].map((name) => boot(image, join(directory, name), { args: ['-S'] })),
    );
    try {
      const ports = new Set<number | undefined>();
      for (const machine of machines) {
        const socket = machine.connect(agentPort);
        await once(socket, 'connect');
        ports.add(socket.remotePort);
        socket.destroy();
      }
      assert.equal(ports.size, 2);
    } finally {
      for (const machine of machines) await machine.kill();
    }
  });

  it('are not awaited if QEMU fails, with the reason', async () => {
    const nowhere = { path: '/nowhere/kernel', bytes: 0, sha256: '' };
    const image: Image = { kernel: nowhere, initrd: nowhere, disks: [] };
    await assert.rejects(boot(image, join(directory, 'none')), /QEMU did not come up: .*'\/nowhere\/kernel'/);
  });
});
