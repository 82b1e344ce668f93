import assert from 'node:assert/strict';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import {
  type Linux,
  LinuxIDMappingSchema,
  LinuxNamespaceSchema,
  MountSchema,
} from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { outputOf, readAll, readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { stableFootprint } from '../harness/footprint.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

/** The user of the guest that is root in the containers, and the number of mapped users. */
const mapped = { host: 200_000, size: 65_536 };

describe('containers with a user namespace (hostUsers: false)', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-users-'));
    rootfs = makeRootfs(directory);
    // As a snapshotter of the host leaves it, for a pod with its own users.
    chownSync(rootfs, mapped.host, mapped.host);
    mkdirSync(join(directory, 'volume'));
    chownSync(join(directory, 'volume'), mapped.host, mapped.host);
    writeFileSync(join(directory, 'volume', 'file'), 'of the volume\n');
    mkdirSync(join(rootfs, 'volume'));
  });

  beforeEach(async () => {
    process = await AgentProcess.start({
      config: `[agent]
user_namespaces = true
share_processes = true
guest_paths = ["rw:${directory}"]

[api]
allowed_endpoints = ["*"]
`,
    });
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', dns: ['nameserver 192.0.2.1'] });
  });

  afterEach(() => process.dispose());

  after(() => {
    rmSync(directory, { recursive: true });
  });

  /** Returns a request as a runtime sends it for a pod with `hostUsers: false`. */
  function requestOf(args: readonly string[], host = mapped.host): CreateContainerRequest {
    const id = `u${++count}-${globalThis.process.pid}`;
    const request = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
    const { OCI } = request;
    assert.ok(OCI?.Linux);
    const common = ['nosuid', 'noexec', 'nodev'];
    const volume = join(directory, 'volume');
    OCI.Mounts.push(
      ...[
        { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...common, 'mode=1777'] },
        { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: common },
        { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...common, 'ro'] },
        { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...common, 'ro'] },
        { destination: '/volume', type: 'bind', source: volume, options: ['rbind', 'rprivate', 'rw'] },
      ].map((mount) => create(MountSchema, mount)),
    );
    OCI.Linux.Namespaces.push(create(LinuxNamespaceSchema, { Type: 'user' }));
    const mapping = create(LinuxIDMappingSchema, { ContainerID: 0, HostID: host, Size: mapped.size });
    OCI.Linux.UIDMappings = [mapping];
    OCI.Linux.GIDMappings = [mapping];
    return request;
  }

  async function start(args: readonly string[], sandboxPidns = false): Promise<string> {
    const { containerId, ...request } = requestOf(args);
    await agent.createContainer({ ...request, containerId, sandboxPidns });
    await agent.startContainer({ containerId });
    return containerId;
  }

  async function end(containerId: string): Promise<void> {
    await agent.signalProcess({ containerId, execId: '', signal: 9 });
    await agent.waitProcess({ containerId, execId: '' });
    await agent.removeContainer({ containerId });
  }

  it('a container starts, writes its output, runs an exec and is removed; its root is a user of the guest', async () => {
    // What a first container of a guest leaves: the namespaces of the pod, and caches of the OCI runtime.
    await end(await start(['sleep', '600']));
    const first = await stableFootprint(Number(process.process.pid), cgroupParent);
    const id = await start([
      'sh',
      '-c',
      'cat /proc/self/uid_map; id -u; cat /volume/file; echo x > /made; echo y > /volume/made; cat /sys/kernel/mm/transparent_hugepage/enabled > /dev/null && echo sysfs; echo ready; sleep 600',
    ]);
    assert.equal(
      (await readUntil(agent, id, 'ready')).replaceAll(/ +/g, ' ').trim(),
      `0 ${mapped.host} ${mapped.size}\n0\nof the volume\nsysfs\nready`,
    );
    const made = statSync(join(directory, 'volume', 'made'));
    assert.deepEqual([made.uid, made.gid], [mapped.host, mapped.host]);
    await agent.execProcess({
      containerId: id,
      execId: 'e',
      process: processRequest(['cat', '/proc/self/uid_map', '/made']),
    });
    assert.match((await readAll(agent, 'stdout', id, 'e')).toString(), /^\s+0\s+200000\s+65536\nx\n$/);
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'e' })).status, 0);
    await end(id);
    assert.deepEqual(await stableFootprint(Number(process.process.pid), cgroupParent), first);
  });

  it('the containers of a pod have one user namespace, and share its other namespaces', async () => {
    const pause = await start(['sh', '-c', 'echo ready; sleep 600']);
    await readUntil(agent, pause, 'ready');
    const other = await start(
      [
        'sh',
        '-c',
        'id -u; for n in user ipc uts; do for p in 1 self; do busybox readlink /proc/$p/ns/$n; done; done',
      ],
      true,
    );
    const [user, ...namespaces] = (await readAll(agent, 'stdout', other)).toString().trim().split('\n');
    assert.equal(user, '0');
    for (const [index, name] of ['user', 'ipc', 'uts'].entries()) {
      const [ofPause, own] = namespaces.slice(2 * index);
      assert.match(own ?? '', new RegExp(`^${name}:`));
      assert.equal(own, ofPause);
      // Of the pod, and not of the guest.
      assert.notEqual(own, readlinkSync(`/proc/self/ns/${name}`));
    }
    await end(other);
    await end(pause);
  });

  it('a container with other mappings has its own user namespace', async () => {
    const pause = await start(['sh', '-c', 'echo ready; sleep 600']);
    await readUntil(agent, pause, 'ready');
    const other = requestOf(['cat', '/proc/self/uid_map'], 400_000);
    // Only the owner of the pod's IPC namespace mounts its queues.
    const { OCI } = other;
    assert.ok(OCI);
    OCI.Mounts = OCI.Mounts.filter(({ type }) => type !== 'mqueue');
    assert.match(await outputOf(agent, other), /^\s+0\s+400000\s+65536\n$/);
    await end(pause);
  });

  const wrong: Readonly<Record<string, (linux: Linux) => void>> = {
    'a user namespace and no UIDMappings': (linux) => (linux.UIDMappings = []),
    'a user namespace and no GIDMappings': (linux) => (linux.GIDMappings = []),
    'a user namespace and GIDMappings without id 0': (linux) => {
      linux.GIDMappings = [create(LinuxIDMappingSchema, { ContainerID: 1, HostID: 200_000, Size: 10 })];
    },
    'mappings of ids and no user namespace': (linux) => {
      linux.Namespaces = linux.Namespaces.filter(({ Type }) => Type !== 'user');
    },
  };
  for (const [what, change] of Object.entries(wrong)) {
    it(`a create with ${what} is invalid, and says so`, async () => {
      const request = requestOf(['true']);
      assert.ok(request.OCI?.Linux);
      change(request.OCI.Linux);
      const { code, message } = await answerOf(agent.createContainer(request));
      assert.equal(code, 'INVALID_ARGUMENT');
      assert.ok(message.includes(what) && message.includes('help:'), message);
    });
  }

  it('other users of the guest can list nothing of the agent, and search no bundle but that of their own container', async () => {
    const id = await start(['sleep', '600']);
    const plain = `plain-${globalThis.process.pid}`;
    await agent.createContainer(containerRequest({ id: plain, rootfs, args: ['true'] }));
    const state = join('/proc', String(process.process.pid), 'root/run/kata-agent');
    const searchable: string[] = [];
    const look = (path: string): void => {
      for (const name of ['', ...readdirSync(path)]) {
        const { mode, gid } = statSync(join(path, name));
        const shown = `${join(path, name).slice(state.length)} ${(mode & 0o777).toString(8)} ${gid}`;
        // The container's own.
        if (name === 'rootfs') continue;
        if ((mode & 0o066) !== 0) searchable.push(`${shown} can be read or written`);
        if ((mode & 0o011) === 0) continue;
        if (name === '') searchable.push(shown);
        else look(join(path, name));
      }
    };
    look(state);
    assert.deepEqual(searchable, [' 711 0', '/bundles 711 0', `/bundles/${id} 710 ${mapped.host}`]);
    await end(id);
    await agent.removeContainer({ containerId: plain });
  });
});
