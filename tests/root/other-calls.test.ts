import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';
const example = (name: string): string => readFileSync(join(repository, 'examples', name), 'utf8');

/** Makes files in /v/d for ever, by eight processes: faster than one removes them. */
const fill = `
  for part in 1 2 3 4 5 6 7 8; do (i=0; while :; do : > /v/d/$part-$i; i=$((i + 1)); done) 2>/dev/null & done
  wait`;

describe('other calls', { skip: whyNoContainers() ?? false }, () => {
  let folder = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-other-'));
    rootfs = makeRootfs(folder);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  async function under(config: string, setup: string): Promise<AgentConnection['agent']> {
    const agent = await AgentProcess.start({ config, setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  }

  function request(args: readonly string[], ...volumes: readonly string[]): CreateContainerRequest {
    number += 1;
    const id = `other${number}-${process.pid}`;
    const made = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
    for (const destination of volumes) {
      const mount = { type: 'bind', destination, source: `${shared}/v`, options: ['rbind', 'rw'] };
      made.OCI?.Mounts.push(create(MountSchema, mount));
    }
    return made;
  }

  async function started(client: AgentConnection['agent'], made: CreateContainerRequest): Promise<string> {
    const { containerId } = made;
    await client.createContainer(made);
    await client.startContainer({ containerId });
    return containerId;
  }

  const destinations = (count: number): readonly string[] =>
    Array.from({ length: count }, (_, index) => `/m/${index}`);

  it('are answered while a container with many mounts is made; one with more is refused', async () => {
    const client = await under(example('minimal.toml'), `mkdir -p ${shared}/v`);
    const { code, message } = await answerOf(
      client.createContainer(request(['true'], ...destinations(2_000))),
    );
    assert.equal(code, 'INVALID_ARGUMENT');
    assert.match(message, /the request has 2003 mounts, and a container has at most 256/);
    const most = request(['true'], ...destinations(253));
    const order: string[] = [];
    const making = client.createContainer(most).then(() => order.push('made'));
    await client.getGuestDetails({});
    order.push('answered');
    await making;
    assert.deepEqual(order, ['answered', 'made']);
    await client.removeContainer({ containerId: most.containerId });
  });

  it('do not wait for a directory that CopyFile replaces while a container fills it', async () => {
    const client = await under(
      example('confidential.toml'),
      `mkdir -p ${shared}/v/d && chmod 777 ${shared}/v/d`,
    );
    const containerId = await started(client, request(['sleep', '1000']));
    const filling = await started(client, request(['sh', '-c', fill], '/v'));
    await delay(1500);
    const file = { path: `${shared}/v/d`, fileSize: 1n, fileMode: 0o100644, dirMode: 0o755, uid: 0, gid: 0 };
    const copying = client.copyFile({ ...file, offset: 0n, data: Buffer.from('x') });
    await Promise.all([copying, client.removeContainer({ containerId })]);
    const top = `/proc/${agents.at(-1)?.process.pid}/root${shared}`;
    assert.equal(readFileSync(`${top}/v/d`, 'utf8'), 'x');
    assert.deepEqual(readdirSync(`${top}/v`), ['d']);
    await client.removeContainer({ containerId: filling });
    // What was set aside goes by itself.
    for (let tries = 0; tries < 300 && readdirSync(top).length > 1; tries += 1) await delay(100);
    assert.deepEqual(readdirSync(top), ['v']);
  });
});
