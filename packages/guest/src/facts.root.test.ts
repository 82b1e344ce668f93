import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealGuest, skip } from './testing/real-guest.js';
import { createContainer } from './perform/create-container.js';
import { createSandbox } from './perform/create-sandbox.js';
import { destroySandbox } from './perform/destroy-sandbox.js';
import { pauseContainer } from './perform/pause-container.js';
import { resumeContainer } from './perform/resume-container.js';
import { signalProcess } from './perform/signal-process.js';
import { startContainer } from './perform/start-container.js';

test('tells of a container what it was made from and how far it has come', { skip }, async () => {
  const real = await RealGuest.open();
  const { guest } = real;
  try {
    await createSandbox(guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = real.id();
    const name = { 'io.kubernetes.cri.container-name': 'app' };
    const annotations = { 'io.kubernetes.cri.image-name': 'registry.example/app:1', ...name };
    assert.equal(guest.containerFacts(id), undefined);
    const spec = { ...real.spec(['sleep', '600']), annotations };
    await createContainer(guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
    assert.deepEqual(guest.containerFacts(id), { state: 'created', annotations });
    await startContainer(guest, id);
    assert.equal(guest.containerFacts(id)?.state, 'running');
    await pauseContainer(guest, id);
    assert.equal(guest.containerFacts(id)?.state, 'paused');
    await resumeContainer(guest, id);
    await signalProcess(guest, { containerId: id, execId: '', signal: 9 });
    await real.wait(id);
    assert.equal(guest.containerFacts(id)?.state, 'stopped');
    assert.deepEqual(guest.sandboxFacts, {
      id: 'pod',
      containers: [id],
      members: [{ state: 'stopped', annotations, exitCode: 137 }],
    });
    await real.remove(id);
    assert.equal(guest.containerFacts(id), undefined);
    assert.deepEqual(guest.sandboxFacts.members, [{ state: 'removed', annotations: name, exitCode: 137 }]);
    await destroySandbox(guest);
    assert.deepEqual(guest.sandboxFacts, { id: '', containers: [], members: [] });
  } finally {
    await real.close();
  }
});
