import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as dial, createServer as listen } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type CreateSandboxRequest,
} from '@kata-agent/protocol/agent';
import { isMessage } from '@bufbuild/protobuf';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '@kata-agent/protocol/health';
import { Code, connect, createClient, createServer, service, TtrpcError } from '@kata-agent/ttrpc';
import { Forwarder } from './forwarder.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-forwarder-'));
after(() => rmSync(directory, { recursive: true }));

test('calls are passed on as the forwarder of cloud-api-adaptor does, and recorded as they were sent', async () => {
  const sandboxes: CreateSandboxRequest[] = [];
  const containers: CreateContainerRequest[] = [];
  const agent = createServer<undefined>({
    services: [
      service<typeof AgentService, undefined>(AgentService, {
        createSandbox: (request) => {
          sandboxes.push(request);
          return {};
        },
        createContainer: (request) => {
          containers.push(request);
          return {};
        },
        startContainer: () => {
          throw new TtrpcError(Code.PermissionDenied, 'no');
        },
      }),
      service<typeof Health, undefined>(Health, { check: () => ({ status: ServingStatus.SERVING }) }),
    ],
  });
  const agentSocket = join(directory, 'agent.sock');
  const listener = listen((socket) => agent.serve(socket, undefined)).listen(agentSocket);
  await once(listener, 'listening');
  const forwarder = new Forwarder(join(directory, 'forwarder.sock'), agentSocket, '/run/netns/podns');
  await forwarder.listen();
  const channel = connect(dial(forwarder.socket));
  const client = createClient(AgentService, channel);
  try {
    assert.equal((await createClient(Health, channel).check({})).status, ServingStatus.SERVING);
    await client.createSandbox({ sandboxId: 'pod', dns: ['nameserver 192.0.2.1'] });
    await client.createContainer({ containerId: 'c', OCI: { Linux: { Namespaces: [{ Type: 'ipc' }] } } });
    await assert.rejects(client.startContainer({ containerId: 'c' }), {
      code: Code.PermissionDenied,
      message: 'no',
    });
  } finally {
    channel.close();
    forwarder.stop();
    listener.close();
    agent.close();
  }
  assert.deepEqual([sandboxes[0]?.sandboxId, sandboxes[0]?.dns], ['pod', []]);
  const namespaces = (request: CreateContainerRequest | undefined) =>
    request?.OCI?.Linux?.Namespaces.map(({ Type, Path }) => [Type, Path]);
  assert.deepEqual(namespaces(containers[0]), [
    ['ipc', ''],
    ['network', '/run/netns/podns'],
  ]);
  assert.deepEqual(
    forwarder.calls.map(({ method }) => method),
    ['Check', 'CreateSandbox', 'CreateContainer', 'StartContainer'],
  );
  const recorded = forwarder.calls[2]?.request;
  assert.ok(recorded !== undefined && isMessage(recorded, CreateContainerRequestSchema));
  assert.deepEqual(namespaces(recorded), [['ipc', '']]);
});
