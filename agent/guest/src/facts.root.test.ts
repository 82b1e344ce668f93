import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealGuest, skip } from './testing/real-guest.js';
import { createContainer, pauseContainer, resumeContainer, startContainer } from './perform/containers.js';
import { createSandbox, destroySandbox } from './perform/sandbox.js';
import { signalProcess } from './perform/processes.js';

test('the status of a container has its annotations and state', { skip }, async () => {
  const real = await RealGuest.open();
  const { guest } = real;
  try {
    await createSandbox(guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = real.id();
    const annotations = { image: 'registry.example/app:1', name: 'app' };
    assert.equal(guest.containerStatus(id), undefined);
    const spec = { ...real.spec(['sleep', '600']), annotations };
    await createContainer(guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
    assert.deepEqual(guest.containerStatus(id), { state: 'created', annotations, mounts: [] });
    await startContainer(guest, id);
    assert.equal(guest.containerStatus(id)?.state, 'running');
    await pauseContainer(guest, id);
    assert.equal(guest.containerStatus(id)?.state, 'paused');
    await resumeContainer(guest, id);
    // A call has signalled it: its exit code says nothing about the program (S35).
    await signalProcess(guest, { containerId: id, execId: '', signal: 9 });
    await real.wait(id);
    assert.equal(guest.containerStatus(id)?.state, 'stopped');
    assert.deepEqual(guest.sandboxStatus, {
      id: 'pod',
      containers: [id],
      // A call has ended it: that says nothing of its work (S35).
      members: [{ name: 'app', state: 'stopped', exitCode: undefined, mounts: [] }],
    });
    await real.remove(id);
    assert.equal(guest.containerStatus(id), undefined);
    assert.deepEqual(guest.sandboxStatus.members, [
      { name: 'app', state: 'removed', exitCode: undefined, mounts: [] },
    ]);
    await destroySandbox(guest);
    assert.deepEqual(guest.sandboxStatus, { id: '', containers: [], members: [] });
  } finally {
    await real.close();
  }
});
