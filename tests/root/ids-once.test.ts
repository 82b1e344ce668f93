import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { outputOf } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { GuestMachine } from '../harness/guest-machine.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

// Runtimes name a volume that they copy into the guest after the container: ID-HEX16-NAME. What the container wrote there stays in
// the guest, so that a host which gives the id to another container would show it to that one.

const shared = '/run/kata-containers/shared/containers';
const S_IFDIR = 0o040_000;
const api = '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n';

describe('the id of a removed container (S38)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess | undefined;
  let machine: GuestMachine | undefined;
  let count = 0;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));
  afterEach(async () => {
    await agent?.dispose();
    await machine?.dispose();
    [agent, machine] = [undefined, undefined];
  });

  const nextId = (): string => {
    count += 1;
    return `once-${process.pid}-${count}`;
  };
  const directoryOf = (id: string): string => `${shared}/${id}-0123456789abcdef-data`;

  function request(id: string, name: string, at: string, script: string): CreateContainerRequest {
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({
        id,
        rootfs,
        args: ['sh', '-c', `(${script}) 2>&1`],
        annotations: { 'io.kubernetes.cri.container-name': name },
      }),
    );
    const options = ['rbind', 'rprivate', 'rw'];
    made.OCI?.Mounts.push(
      create(MountSchema, { type: 'bind', destination: at, source: directoryOf(id), options }),
    );
    return made;
  }
  const writes = (id: string): CreateContainerRequest =>
    request(id, 'db', '/db/data', 'echo key > /db/data/f');
  const reads = (id: string, name: string): CreateContainerRequest =>
    request(id, name, '/srv/data', 'cat /srv/data/f');
  const copied = (id: string) => ({
    path: directoryOf(id),
    fileMode: S_IFDIR | 0o755,
    dirMode: 0o755,
    data: new Uint8Array(),
  });

  it('is not that of another container, nor of the same one with other mounts', async () => {
    agent = await AgentProcess.start({ config: api });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const id = nextId();
    await client.copyFile(copied(id));
    assert.equal(await outputOf(client, writes(id)), '');
    for (const name of ['web', 'db', '']) {
      const { code, message } = await answerOf(client.createContainer(reads(id, name)));
      assert.equal(code, 'ALREADY_EXISTS', message);
      assert.match(message, /was removed.*help: use another id/);
    }
    await client.destroySandbox({});
  });

  it('is remembered by an agent that is started again', async () => {
    machine = await GuestMachine.boot();
    const first = await machine.start();
    await first.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const [removed, living] = [nextId(), nextId()];
    for (const id of [removed, living]) await first.agent.copyFile(copied(id));
    assert.equal(await outputOf(first.agent, writes(removed)), '');
    await first.agent.createContainer(request(living, 'db', '/db/data', 'sleep 600'));
    await first.agent.startContainer({ containerId: living });
    first.channel.close();
    await first.kill();
    const second = await machine.start();
    assert.equal(
      (await answerOf(second.agent.createContainer(reads(removed, 'web')))).code,
      'ALREADY_EXISTS',
    );
    await second.agent.removeContainer({ containerId: living });
    assert.equal((await answerOf(second.agent.createContainer(reads(living, 'web')))).code, 'ALREADY_EXISTS');
    second.channel.close();
    await second.kill();
  });

  it('is free again after a creation that failed', async () => {
    agent = await AgentProcess.start({ config: api });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const id = nextId();
    assert.equal((await answerOf(client.createContainer(writes(id)))).code, 'INVALID_ARGUMENT');
    await client.copyFile(copied(id));
    assert.equal(await outputOf(client, writes(id)), '');
  });

  it('is free without a configuration, as with Kata’s agent', async () => {
    agent = await AgentProcess.start();
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const id = nextId();
    await client.copyFile(copied(id));
    assert.equal(await outputOf(client, writes(id)), '');
    assert.equal(await outputOf(client, reads(id, 'web')), 'key\n');
  });
});
