import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealGuest, skip } from './testing/real-guest.js';

test('tells of a container what it was made from and how far it has come', { skip }, async () => {
  const real = await RealGuest.open();
  const { guest } = real;
  try {
    await guest.createSandbox({ sandboxId: 'pod', hostname: '', dns: [], storages: [] });
    const id = real.id();
    const annotations = { 'io.kubernetes.cri.image-name': 'registry.example/app:1' };
    assert.equal(guest.containerFacts(id), undefined);
    const spec = { ...real.spec(['sleep', '600']), annotations };
    await guest.createContainer({ id, execId: id, spec, storages: [], sandboxPidns: false });
    assert.deepEqual(guest.containerFacts(id), { state: 'created', annotations });
    await guest.startContainer(id);
    assert.equal(guest.containerFacts(id)?.state, 'running');
    await guest.pauseContainer(id);
    assert.equal(guest.containerFacts(id)?.state, 'paused');
    await guest.resumeContainer(id);
    await guest.signalProcess({ containerId: id, execId: '', signal: 9 });
    await real.wait(id);
    assert.equal(guest.containerFacts(id)?.state, 'stopped');
    assert.deepEqual(guest.sandboxFacts, { id: 'pod', containers: [id] });
    await real.remove(id);
    assert.equal(guest.containerFacts(id), undefined);
    await guest.destroySandbox();
    assert.deepEqual(guest.sandboxFacts, { id: '', containers: [] });
  } finally {
    await real.close();
  }
});
