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

/** A shell script that creates files in /v/d with eight processes, faster than they can be removed, until it is killed. */
const fill = `
  for part in 1 2 3 4 5 6 7 8; do (i=0; while :; do : > /v/d/$part-$i; i=$((i + 1)); done) 2>/dev/null & done
  wait`;

describe('calls during a slow call', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-other-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function startAgent(config: string, setup: string): Promise<AgentConnection['agent']> {
    const agent = await AgentProcess.start({ config, setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  }

  function request(args: readonly string[], ...volumes: readonly string[]): CreateContainerRequest {
    number += 1;
    const id = `other${number}-${process.pid}`;
    const creation = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
    for (const destination of volumes) {
      const mount = { type: 'bind', destination, source: `${shared}/v`, options: ['rbind', 'rw'] };
      creation.OCI?.Mounts.push(create(MountSchema, mount));
    }
    return creation;
  }

  async function startContainer(
    client: AgentConnection['agent'],
    creation: CreateContainerRequest,
  ): Promise<string> {
    const { containerId } = creation;
    await client.createContainer(creation);
    await client.startContainer({ containerId });
    return containerId;
  }

  const destinations = (count: number): readonly string[] =>
    Array.from({ length: count }, (_, index) => `/m/${index}`);

  it('calls are answered while a container with the most mounts is created, and one with more is rejected', async () => {
    const client = await startAgent(example('minimal.toml'), `mkdir -p ${shared}/v`);
    const { code, message } = await answerOf(
      client.createContainer(request(['true'], ...destinations(2_000))),
    );
    assert.equal(code, 'INVALID_ARGUMENT');
    assert.match(message, /the request has 2003 mounts, and the limit is 256/);
    const largest = request(['true'], ...destinations(253));
    const order: string[] = [];
    const creating = client.createContainer(largest).then(() => order.push('created'));
    await client.getGuestDetails({});
    order.push('answered');
    await creating;
    assert.deepEqual(order, ['answered', 'created']);
    await client.removeContainer({ containerId: largest.containerId });
  });

  it('an update of a volume that meets creates from it is made, each time', async () => {
    const client = await startAgent(example('confidential.toml'), `mkdir -p ${shared}/v`);
    const path = `${shared}/v/config`;
    const update = (text: string): Promise<unknown> =>
      client.copyFile({
        path,
        fileMode: 0o100644,
        fileSize: BigInt(text.length),
        offset: 0n,
        data: Buffer.from(text),
      });
    await update('0');
    const ids: string[] = [];
    const creates = { over: false };
    // Two creates overlap all the time, each from the volume.
    const creating = Promise.all(
      [0, 1].map(async () => {
        for (let each = 0; each < 8; each += 1) {
          const creation = request(['true'], '/v');
          await client.createContainer(creation);
          ids.push(creation.containerId);
        }
      }),
    ).finally(() => {
      creates.over = true;
    });
    let updates = 0;
    while (!creates.over) {
      updates += 1;
      assert.deepEqual(await answerOf(update(String(updates))), { code: 'OK', message: '' });
    }
    await creating;
    assert.ok(updates > 1, `${updates} updates`);
    const agent = agents.at(-1);
    assert.equal(readFileSync(`/proc/${agent?.process.pid}/root${path}`, 'utf8'), String(updates));
    for (const containerId of ids) await client.removeContainer({ containerId });
  });

  it('calls do not wait for the removal of a directory that CopyFile replaces while a container fills it', async () => {
    const client = await startAgent(
      example('confidential.toml'),
      `mkdir -p ${shared}/v/d && chmod 777 ${shared}/v/d`,
    );
    const containerId = await startContainer(client, request(['sleep', '1000']));
    const filling = await startContainer(client, request(['sh', '-c', fill], '/v'));
    await delay(1500);
    const file = { path: `${shared}/v/d`, fileSize: 1n, fileMode: 0o100644, dirMode: 0o755, uid: 0, gid: 0 };
    const copying = client.copyFile({ ...file, offset: 0n, data: Buffer.from('x') });
    await Promise.all([copying, client.removeContainer({ containerId })]);
    const top = `/proc/${agents.at(-1)?.process.pid}/root${shared}`;
    assert.equal(readFileSync(`${top}/v/d`, 'utf8'), 'x');
    assert.deepEqual(readdirSync(`${top}/v`), ['d']);
    await client.removeContainer({ containerId: filling });
    // The replaced directory is removed in the background.
    for (let tries = 0; tries < 300 && readdirSync(top).length > 1; tries += 1) await delay(100);
    assert.deepEqual(readdirSync(top), ['v']);
  });
});
