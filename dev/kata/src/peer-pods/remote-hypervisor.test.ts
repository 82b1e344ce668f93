import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Code, connect, createClient } from '@kata-agent/ttrpc';
import { Hypervisor } from '../gen/hypervisor_pb.js';
import { RemoteHypervisor } from './remote-hypervisor.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-hypervisor-'));
after(() => rmSync(directory, { recursive: true }));

test('a machine is created, started and stopped by its pod', async () => {
  const states: string[] = [];
  const hypervisor = await RemoteHypervisor.start(join(directory, 'hypervisor.sock'));
  hypervisor.createMachine = (sandbox) => ({
    socket: `/agents/${sandbox}`,
    start: async () => void states.push(`${sandbox} started`),
    stop: async () => void states.push(`${sandbox} stopped`),
  });
  const channel = connect(dial(hypervisor.socket));
  const client = createClient(Hypervisor, channel);
  try {
    const { agentSocketPath } = await client.createVM({ id: 'pod', annotations: { name: 'x' } });
    assert.equal(agentSocketPath, '/agents/pod');
    await assert.rejects(client.createVM({ id: 'pod' }), { code: Code.AlreadyExists });
    await client.startVM({ id: 'pod' });
    assert.equal(hypervisor.machines, 1);
    await client.stopVM({ id: 'pod' });
    assert.equal(hypervisor.machines, 0);
    await assert.rejects(client.startVM({ id: 'pod' }), { code: Code.NotFound });
    assert.deepEqual(states, ['pod started', 'pod stopped']);
    assert.deepEqual(hypervisor.calls[0], { method: 'CreateVM', annotations: { name: 'x' } });
    await client.createVM({ id: 'other' });
  } finally {
    channel.close();
    await hypervisor.stop();
  }
  assert.equal(states.at(-1), 'other stopped');
});
