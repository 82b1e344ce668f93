import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';
import { type PodFootprint, podFootprint } from './scenario-footprint.js';

const api = '[api]\nallowed_endpoints = ["*"]\n';
/** This machine has no configfs-tsm, and sources that are not required are left out. */
const evidence = '[evidence]\nsources = ["configfs-tsm"]\n';
const permissive = 'privileged_containers = "allow"';

/** Sources that would give a container evidence. */
const giving = [
  '/dev',
  '/dev/tpm0',
  '/dev/tpmrm0',
  '//dev/./tdx_guest',
  '/dev/sev-guest',
  '/sys',
  '/sys/kernel',
  '/sys/kernel/config',
  '/sys/kernel/config/tsm/report',
  '/run/confidential-containers',
  '/run/confidential-containers/attestation-agent/attestation-agent.sock',
];

const denied =
  /would give evidence of the guest to a container, which only the agent may give with \[evidence\]/;

describe('with [evidence] no container mounts what gives evidence (S32)', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  let agent: AgentProcess | undefined;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-evidence-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  async function withAgent(
    config: string,
    run: (client: AgentConnection['agent'], pid: number) => Promise<void>,
  ): Promise<void> {
    const setup =
      'mkdir -p /run/confidential-containers && ln -s /sys/kernel /run/kernel && ln -s /dev /run/devices';
    agent = await AgentProcess.start({ config, setup });
    try {
      const { agent: client } = await agent.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      await run(client, agent.process.pid ?? assert.fail('no pid'));
    } finally {
      await agent.dispose();
    }
  }

  function withMount(source: string, option: 'bind' | 'rbind', args = ['true']): CreateContainerRequest {
    number += 1;
    const init = containerRequest({ id: `e${number}-${process.pid}`, rootfs, args });
    const request = create(CreateContainerRequestSchema, init);
    const mount = { type: 'bind', destination: '/mnt', source, options: [option, 'ro'] };
    request.OCI?.Mounts.push(create(MountSchema, mount));
    return request;
  }

  async function outputOf(
    client: AgentConnection['agent'],
    request: CreateContainerRequest,
  ): Promise<string> {
    const { containerId } = request;
    await client.createContainer(request);
    await client.startContainer({ containerId });
    const text = String(await readAll(client, 'stdout', containerId));
    await client.waitProcess({ containerId, execId: '' });
    await client.removeContainer({ containerId });
    return text;
  }

  const rule = '[[api.rule]]\nname = "all"\nendpoints = ["*"]\nexpression = "true"\n';
  const ruled = api.replace('[api]\n', '[api]\nrelease = "4.1"\n');

  it('with privileged_containers = "allow" and a rule that allows all; nothing is created', async () => {
    await withAgent(`[agent]\n${permissive}\n\n${evidence}${ruled}${rule}`, async (client, pid) => {
      assert.equal(await outputOf(client, withMount('/dev/shm', 'bind', ['echo', 'fine'])), 'fine\n');
      // Below /run/devices are the machine's devices: concurrent tests attach disks.
      const left = (): PodFootprint => {
        const { files, ...others } = podFootprint(pid, cgroupParent);
        return { ...others, files: files.filter((path) => !path.startsWith('devices/')) };
      };
      const earlier = left();
      for (const source of [...giving, '/run/kernel', '/run/devices'])
        for (const option of ['bind', 'rbind'] as const) {
          const { code, message } = await answerOf(client.createContainer(withMount(source, option)));
          assert.equal(code, 'PERMISSION_DENIED', `${source}: ${message}`);
          assert.match(message, denied, source);
        }
      assert.deepEqual(left(), earlier);
    });
  });

  it('propagated mounts and storages neither', async () => {
    await withAgent(`[agent]\n${permissive}\n\n${evidence}${api}`, async (client) => {
      const shared = withMount('/sys/kernel', 'rbind');
      shared.OCI?.Mounts.at(-1)?.options.push('rshared');
      assert.match((await answerOf(client.createContainer(shared))).message, denied);
      const stored = withMount('/dev/shm', 'bind');
      stored.storages.push(
        create(StorageSchema, {
          driver: 'bind',
          source: '/sys/kernel',
          mountPoint: '/run/kata-containers/sandbox/storage/kernel',
          fstype: 'bind',
          options: ['rbind'],
        }),
      );
      assert.match((await answerOf(client.createContainer(stored))).message, denied);
    });
  });

  it('paths that guest_paths lists neither', async () => {
    const paths = `guest_paths = ["/dev", "/sys", "rw:/run/kernel", ${JSON.stringify(tmpdir())}]`;
    await withAgent(`[agent]\n${paths}\n\n${evidence}${api}`, async (client) => {
      for (const source of ['/dev', '/sys', '/sys/kernel/config', '/run/kernel'])
        assert.match((await answerOf(client.createContainer(withMount(source, 'rbind')))).message, denied);
      assert.equal(await outputOf(client, withMount('/sys/fs', 'bind', ['echo', 'fine'])), 'fine\n');
    });
  });

  it('without [evidence] a privileged container has them, as under Kata', async () => {
    await withAgent(`[agent]\n${permissive}\n\n${api}`, async (client) => {
      const listed = await outputOf(client, withMount('/sys', 'rbind', ['sh', '-c', 'echo /mnt/*']));
      assert.match(listed, / \/mnt\/kernel /);
    });
  });

  it('the sysfs of a container has none of the guest’s configfs', async () => {
    await withAgent(`[agent]\n${permissive}\n\n${evidence}${api}`, async (client) => {
      const request = withMount('/dev/shm', 'bind', ['sh', '-c', 'grep -c configfs /proc/self/mountinfo']);
      assert.equal(await outputOf(client, request), '0\n');
    });
  });
});
