import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';
import { podFootprint } from './scenario-footprint.js';

const api = '[api]\nallowed_endpoints = ["*"]\n';

type Change = (request: CreateContainerRequest) => void;

const mount = (type: string, destination: string, source: string, options: string[]): Change => {
  return ({ OCI }) => void OCI?.Mounts.push(create(MountSchema, { type, destination, source, options }));
};
const device = (Path: string, Major: bigint, Minor: bigint): Change => {
  return ({ OCI }) =>
    void OCI?.Linux?.Devices.push(
      create(LinuxDeviceSchema, { Path, Type: 'c', Major, Minor, FileMode: 0o666 }),
    );
};

/** Changes that need privileges, by the reason in the error. */
const attacks: Readonly<Record<string, readonly Change[]>> = {
  capabilities: [({ OCI }) => void OCI?.Process?.Capabilities?.Ambient.push('CAP_SYS_ADMIN')],
  'unmasked-paths': [({ OCI }) => void OCI?.Linux?.ReadonlyPaths.splice(0)],
  'other-masked-paths': [({ OCI }) => void OCI?.Linux?.MaskedPaths.push('/bin/sleep')],
  'kernel-filesystem': [
    mount('cgroup', '/sys/fs/cgroup', 'cgroup', ['rw']),
    mount('sysfs', '/mnt', 'sysfs', ['ro']),
    mount('proc', '/mnt', 'proc', []),
  ],
  'guest-paths': [
    mount('bind', '/mnt', '/proc', ['rbind']),
    mount('bind', '/mnt', '/sys/fs/cgroup', ['rbind']),
  ],
  'mount-propagation': [
    ({ OCI }) => {
      if (OCI?.Linux) OCI.Linux.RootfsPropagation = 'shared';
    },
  ],
  'host-namespaces': [({ OCI }) => void OCI?.Linux?.Namespaces.splice(1, 1)],
  'shared-processes': [
    (request) => {
      request.sandboxPidns = true;
    },
  ],
  devices: [device('/dev/kvm', 10n, 232n), device('/dev/null', 10n, 229n), device('/dev/tpm0', 10n, 224n)],
};

describe('privileged containers', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-privileged-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function startAgent(
    config?: string,
    setup = ':',
  ): Promise<{ agent: AgentProcess; client: AgentConnection['agent'] }> {
    const agent = await AgentProcess.start({ ...(config === undefined ? {} : { config }), setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return { agent, client };
  }

  const request = (args: readonly string[], ...changes: readonly Change[]): CreateContainerRequest => {
    number += 1;
    const init = containerRequest({ id: `p${number}-${process.pid}`, rootfs, args });
    const creation = create(CreateContainerRequestSchema, init);
    for (const change of changes) change(creation);
    return creation;
  };

  /** Runs a container to its end and returns its output. */
  const outputOf = async (
    client: AgentConnection['agent'],
    creation: CreateContainerRequest,
  ): Promise<string> => {
    const { containerId } = creation;
    await client.createContainer(creation);
    await client.startContainer({ containerId });
    const text =
      String(await readAll(client, 'stdout', containerId)) +
      String(await readAll(client, 'stderr', containerId));
    await client.waitProcess({ containerId, execId: '' });
    await client.removeContainer({ containerId });
    return text;
  };

  it('a privileged container is denied with a configuration, with reasons and a record, and changes nothing', async () => {
    const { agent, client } = await startAgent(api);
    const pid = agent.process.pid ?? assert.fail('no pid');
    assert.equal(await outputOf(client, request(['echo', 'fine'])), 'fine\n');
    const earlier = podFootprint(pid, cgroupParent);
    let denials = 0;
    for (const [reason, changes] of Object.entries(attacks)) {
      for (const change of changes) {
        const { code, message } = await answerOf(client.createContainer(request(['true'], change)));
        assert.equal(code, 'PERMISSION_DENIED', reason);
        assert.match(message, new RegExp(`privileged_containers = "refuse": .*${reason} \\(`));
        denials += 1;
      }
    }
    assert.deepEqual(podFootprint(pid, cgroupParent), earlier);
    await agent.stop();
    const recorded = agent
      .records()
      .filter((record) => JSON.stringify(record).includes('privileged_containers'));
    const named = Object.keys(attacks).filter((reason) => JSON.stringify(recorded).includes(`${reason} (`));
    assert.ok(recorded.length > 0 && recorded.length <= denials + 1);
    assert.ok(named.length > 0);
  });

  it('an exec with more capabilities is denied, and a rule cannot allow it', async () => {
    const { client } = await startAgent(
      `${api}\n[[api.rule]]\nname = "all"\nendpoints = ["*"]\nexpression = "true"\n`.replace(
        '[api]\n',
        '[api]\nrelease = "4.1"\n',
      ),
    );
    const container = request(['sleep', '60']);
    await client.createContainer(container);
    await client.startContainer({ containerId: container.containerId });
    const { containerId } = container;
    const exec = { containerId, execId: 'e', process: processRequest(['true']) };
    const answer = await answerOf(
      client.execProcess({
        ...exec,
        process: { Args: ['true'], Capabilities: { Bounding: ['CAP_SYS_ADMIN'] } },
      }),
    );
    assert.equal(answer.code, 'PERMISSION_DENIED');
    assert.match(answer.message, /capabilities \(CAP_SYS_ADMIN\)/);
    await client.execProcess(exec);
    await client.removeContainer({ containerId: container.containerId });
  });

  it('a privileged container runs without a configuration and with privileged_containers = "allow"', async () => {
    for (const config of [undefined, `[agent]\nprivileged_containers = "allow"\n\n${api}`]) {
      const { agent, client } = await startAgent(config);
      const open: Change = ({ OCI }) => {
        OCI?.Linux?.MaskedPaths.splice(0);
        OCI?.Linux?.ReadonlyPaths.splice(0);
      };
      const text = await outputOf(
        client,
        request(['cat', '/proc/sys/kernel/ostype'], open, device('/dev/x', 1n, 11n)),
      );
      assert.equal(text, 'Linux\n');
      const { code } = await answerOf(
        client.createContainer(request(['true'], device('/dev/tpm0', 10n, 224n))),
      );
      assert.equal(code, 'PERMISSION_DENIED', 'no container gets an attestation device');
      if (config === undefined) continue;
      await agent.stop();
      const recorded = agent.records().find(({ method }) => method === 'CreateContainer');
      const recordedRequest = recorded?.['request'] as
        | { readonly privileges?: readonly string[] }
        | undefined;
      assert.deepEqual(recordedRequest?.privileges, ['unmasked-paths', 'devices']);
    }
  });

  it('an allowed privileged container mounts for other containers of the pod (mountPropagation: Bidirectional)', async () => {
    const volume = '/run/kata-containers/shared/containers/volume';
    // containerd sets the same propagation for the root.
    const bound = (propagation: string): Change => {
      const bind = mount('bind', '/vol', volume, ['rbind', propagation]);
      return (creation) => {
        bind(creation);
        if (creation.OCI?.Linux) creation.OCI.Linux.RootfsPropagation = propagation;
      };
    };
    const mounter: Change = ({ OCI }) => {
      const capabilities = OCI?.Process?.Capabilities ?? assert.fail();
      for (const set of ['Bounding', 'Effective', 'Permitted'] as const)
        capabilities[set] = [...capabilities[set], 'CAP_SYS_ADMIN'];
    };
    for (const config of [undefined, `[agent]\nprivileged_containers = "allow"\n\n${api}`]) {
      const { agent, client } = await startAgent(config, `mkdir -p ${volume}`);
      const table = (): string => readFileSync(`/proc/${agent.process.pid}/mountinfo`, 'utf8');
      const wait =
        'for i in $(busybox seq 100); do if [ -e /vol/in/file ]; then break; fi; sleep 0.1; done; cat /vol/in/file';
      const watching = request(['sh', '-c', wait], bound('rslave'));
      await client.createContainer(watching);
      await client.startContainer({ containerId: watching.containerId });
      const script =
        'mkdir /vol/in && busybox mount -t tmpfs in /vol/in && echo inside > /vol/in/file && echo mounted && sleep 60';
      const mounting = request(['sh', '-c', script], bound('rshared'), mounter);
      await client.createContainer(mounting);
      await client.startContainer({ containerId: mounting.containerId });
      assert.equal(String(await readAll(client, 'stdout', watching.containerId)), 'inside\n');
      assert.ok(!table().includes(`${volume}/in`), "the mount does not appear in the guest's volume");
      assert.equal(await outputOf(client, request(['cat', '/vol/in/file'], bound('rslave'))), 'inside\n');
      for (const { containerId } of [watching, mounting]) await client.removeContainer({ containerId });
      await client.destroySandbox({});
    }
    const { client } = await startAgent(api, `mkdir -p ${volume}`);
    const answer = await answerOf(client.createContainer(request(['true'], bound('rshared'))));
    assert.equal(answer.code, 'PERMISSION_DENIED');
    assert.match(answer.message, /mount-propagation \(/);
  });

  it('keys for one thing open it, and neither a capability more nor anything else', async () => {
    const { client } = await startAgent(
      `[agent]\ncapabilities = ["CAP_NET_ADMIN"]\nshare_processes = true\n\n${api}`,
    );
    const having =
      (...names: readonly string[]): Change =>
      ({ OCI }) => {
        const capabilities = OCI?.Process?.Capabilities ?? assert.fail();
        for (const set of ['Bounding', 'Effective', 'Permitted'] as const)
          capabilities[set] = [...capabilities[set], ...names];
      };
    const shared: Change = (creation) => {
      creation.sandboxPidns = true;
    };
    const effective =
      'while read name value; do if [ $name = CapEff: ]; then echo $((0x$value >> 12 & 1)); fi; done < /proc/self/status';
    // The pod's process namespace is that of its first container.
    const first = request(['sleep', '60'], shared);
    await client.createContainer(first);
    await client.startContainer({ containerId: first.containerId });
    assert.equal(await outputOf(client, request(['sh', '-c', effective])), '0\n');
    assert.equal(await outputOf(client, request(['sh', '-c', effective], having('CAP_NET_ADMIN'))), '1\n');
    const others = 'cat /proc/[0-9]*/cmdline | busybox tr "\\0" " "';
    assert.match(await outputOf(client, request(['sh', '-c', others], shared)), /sleep 60/);
    assert.doesNotMatch(await outputOf(client, request(['sh', '-c', others])), /sleep 60/);
    for (const [reason, change] of [
      ['capabilities \\(CAP_SYS_TIME\\)', having('CAP_NET_ADMIN', 'CAP_SYS_TIME')],
      ['unmasked-paths', attacks['unmasked-paths']?.[0] ?? assert.fail()],
    ] as const) {
      const { code, message } = await answerOf(client.createContainer(request(['true'], shared, change)));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, new RegExp(`"refuse": ${reason}`));
    }
  });

  const named = ['/dev/fuse', '/dev/kvm', '/dev/net/tun'].find((path) => existsSync(path));

  it('a device in the configuration has the number in the guest and can be opened', {
    skip: named === undefined ? 'the machine has no such device' : false,
  }, async () => {
    const path = named ?? '';
    const { client } = await startAgent(`[agent]\ndevices = ["${path}"]\n\n${api}`);
    const creation = request(['sh', '-c', `exec 3< ${path} && echo opened`], device(path, 77n, 7n));
    assert.equal(await outputOf(client, creation), 'opened\n');
    const other = await answerOf(
      client.createContainer(request(['true'], device('/dev/vhost-net', 10n, 238n))),
    );
    assert.match(other.message, /devices \(\/dev\/vhost-net\): \[agent\] devices can allow it/);
  });

  it('a device that is the source of a bind mount can be opened without a configuration or if the configuration names it', {
    skip: named === undefined ? 'the machine has no such device' : false,
  }, async () => {
    const path = named ?? '';
    const script = `exec 3<> ${path} && echo opened`;
    const creation = (): CreateContainerRequest =>
      request(['sh', '-c', script], mount('bind', path, path, ['rbind', 'rw']));
    const { client } = await startAgent(`[agent]\ndevices = ["${path}"]\n\n${api}`);
    assert.equal(await outputOf(client, creation()), 'opened\n');
    await client.destroySandbox({});
    const open = await startAgent();
    assert.equal(await outputOf(open.client, creation()), 'opened\n');
    const denying = await startAgent(api);
    assert.equal((await answerOf(denying.client.createContainer(creation()))).code, 'PERMISSION_DENIED');
  });
});
