import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const shared = '/run/kata-containers/shared/containers';
const config = '[api]\nallowed_endpoints = ["@pod", "@copy", "@stdio"]\n';
/** What a runtime sends whose VMM runs as a user of its own. */
const rootless = `/run/user/1002${shared}`;

describe('a runtime whose VMM is not root', { skip: whyNoContainers() ?? false }, () => {
  const id = `rootless-${process.pid}`;
  let directory = '';
  let agent: AgentProcess;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-rootless-'));
    const rootfs = makeRootfs(directory);
    const setup = [
      `mkdir -p ${shared}/watchable ${shared}/config ${shared}/${id}`,
      `cp -a ${rootfs} ${shared}/${id}/rootfs`,
      `echo -n followed > ${shared}/config/key`,
    ].join(' && ');
    agent = await AgentProcess.start({ config, setup });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  it('runs a container from the share, with a watched volume and a copied file', async () => {
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    const data = new TextEncoder().encode(' and copied');
    const rights = { fileMode: 0o100644, dirMode: 0o755, uid: 0, gid: 0 };
    const size = { fileSize: BigInt(data.length), offset: 0n };
    await client.copyFile({ path: `${rootless}/copied`, data, ...size, ...rights });
    const args = ['cat', '/config/key', '/copied'];
    const request = create(
      CreateContainerRequestSchema,
      containerRequest({ id, rootfs: `${rootless}/${id}/rootfs`, args }),
    );
    const watched = `${rootless}/watchable/config`;
    request.storages.push(
      ...create(CreateContainerRequestSchema, {
        storages: [
          { driver: 'watchable-bind', source: `${rootless}/config`, fstype: 'bind', mountPoint: watched },
        ],
      }).storages,
    );
    for (const [destination, source] of [
      ['/config', watched],
      ['/copied', `${rootless}/copied`],
    ] as const)
      request.OCI?.Mounts.push(
        create(MountSchema, { type: 'bind', destination, source, options: ['rbind', 'ro'] }),
      );
    await client.createContainer(request);
    await client.startContainer({ containerId: id });
    const process = { containerId: id, execId: id };
    assert.equal((await client.waitProcess(process)).status, 0);
    const { data: output } = await client.readStdout({ ...process, len: 100 });
    assert.equal(new TextDecoder().decode(output), 'followed and copied');
    await client.removeContainer({ containerId: id, timeout: 0 });
  });
});
