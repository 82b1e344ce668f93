import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AgentService, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { type GuestFacts, ruleContext } from './rule-context.js';

const caller = { listener: 'host', identity: { kind: 'unix', uid: 0 } } as const;
const annotations = { 'io.kubernetes.cri.image-name': 'registry.example/app:1', other: 'x' };
const guest: GuestFacts = {
  containerFacts: (id) => (id === 'c1' ? { state: 'running', annotations } : undefined),
  sandboxFacts: {
    id: 'pod',
    containers: ['c1'],
    members: [
      { annotations: {}, state: 'running', exitCode: undefined },
      { annotations: { 'io.kubernetes.cri.container-name': 'init' }, state: 'removed', exitCode: 0 },
    ],
  },
};

describe('what a rule sees beside the request', () => {
  it('is who calls and what there is', () => {
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
            { name: '', state: 'running' },
            { name: 'init', state: 'removed', exitCode: 0 },
          ],
        },
        container: undefined,
      },
    );
  });

  it('is the container of every method whose request names one', () => {
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

  it('is of a container that is not there its id and nothing else', () => {
    const request = create(AgentService.method.startContainer.input, { containerId: 'c9' });
    assert.deepEqual(ruleContext(request, caller, guest).container, {
      id: 'c9',
      state: 'none',
      claimed: { image: '', annotations: {} },
    });
  });

  it('is of a container that is to be made what the request claims, whatever is there under its id (S27)', () => {
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
