import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AgentService, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { type GuestStatus, ruleContext } from './rule-context.js';

const caller = { listener: 'host', identity: { kind: 'unix', uid: 0 } } as const;
const annotations = { 'io.kubernetes.cri.image-name': 'registry.example/app:1', other: 'x' };
const keys = { destination: '/keys', source: '/run/kata-containers/sandbox/storage/x' };
const guest: GuestStatus = {
  containerStatus: (id) => (id === 'c1' ? { state: 'running', annotations, mounts: [] } : undefined),
  sandboxStatus: {
    id: 'pod',
    containers: ['c1'],
    members: [
      { name: '', state: 'running', exitCode: undefined, mounts: [] },
      { name: 'init', state: 'removed', exitCode: 0, mounts: [keys] },
    ],
  },
};

describe('the rule context besides the request', () => {
  it('has the peer and the sandbox', () => {
    const { listener, peer, sandbox, container } = ruleContext(
      create(AgentService.method.createSandbox.input),
      caller,
      guest,
    );
    assert.deepEqual(
      { listener, peer, sandbox, container },
      {
        listener: 'host',
        peer: { kind: 'unix', uid: 0 },
        sandbox: {
          id: 'pod',
          containers: ['c1'],
          members: [
            { name: '', state: 'running', mounts: [] },
            { name: 'init', state: 'removed', exitCode: 0, mounts: [keys] },
          ],
        },
        container: undefined,
      },
    );
  });

  it('has the container of every method whose request names one', () => {
    for (const method of AgentService.methods) {
      const names = method.input.fields.some(({ name }) => name === 'container_id');
      const request = create(method.input, names ? { containerId: 'c1' } : {});
      const { container } = ruleContext(request, caller, guest);
      assert.equal(container?.id, names ? 'c1' : undefined, method.name);
      if (!names) continue;
      const state = method.name === 'CreateContainer' ? 'none' : 'running';
      assert.equal(container?.state, state, method.name);
    }
  });

  it('has only the ID of a container that does not exist', () => {
    const request = create(AgentService.method.startContainer.input, { containerId: 'c9' });
    assert.deepEqual(ruleContext(request, caller, guest).container, {
      id: 'c9',
      state: 'none',
      claimed: { image: '', annotations: {} },
    });
  });

  it('has the claims of the request for a container to be created, even if its ID exists (S27)', () => {
    const claimed = { 'io.kubernetes.cri-o.ImageName': 'registry.example/other:2' };
    const request = create(CreateContainerRequestSchema, {
      containerId: 'c1',
      OCI: { Annotations: claimed },
    });
    assert.deepEqual(ruleContext(request, caller, guest).container, {
      id: 'c1',
      state: 'none',
      claimed: { image: 'registry.example/other:2', annotations: claimed },
    });
  });
});
