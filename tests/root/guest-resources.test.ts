import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const config = readFileSync(join(repository, 'examples/minimal.toml'), 'utf8');

describe('resources of the guest', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-own-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
    await client.createContainer(request(['sleep', '1000']));
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  function request(args: readonly string[]): CreateContainerRequest {
    number += 1;
    const id = `own${number}-${process.pid}`;
    return create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
  }

  it('a container cannot use a cgroup of the guest, limit its processes or kill them', async (context) => {
    const name = `own-resources-${process.pid}`;
    const cgroups = hierarchies().map((hierarchy) => join(hierarchy, name));
    const service = spawn('sleep', ['1000']);
    const ended = once(service, 'exit');
    context.after(async () => {
      service.kill('SIGKILL');
      await ended;
      for (let tries = 0; tries < 50 && !tryRemove(cgroups); tries += 1) await delay(100);
    });
    for (const cgroup of cgroups) createCgroup(cgroup, service.pid ?? 0);
    const creation = request(['sleep', '1000']);
    const { containerId } = creation;
    if (creation.OCI?.Linux) creation.OCI.Linux.CgroupsPath = `/${name}`;
    const result = await answerOf(client.createContainer(creation));
    assert.deepEqual([result.code, service.exitCode, service.signalCode], ['PERMISSION_DENIED', null, null]);
    assert.match(
      result.message,
      new RegExp(
        `the cgroup "/${name}" is in use: .* contains process ${service.pid}; help: set cgroupsPath`,
      ),
    );
    assert.equal((await answerOf(client.signalProcess({ containerId, signal: 9 }))).code, 'INVALID_ARGUMENT');
    // Only the cgroup itself must be empty: its parents can have processes of the guest.
    if (creation.OCI?.Linux) creation.OCI.Linux.CgroupsPath = `/${name}/container`;
    if (hierarchies().length > 1) {
      await client.createContainer(creation);
      await client.removeContainer({ containerId });
    }
    assert.deepEqual([service.exitCode, service.signalCode], [null, null]);
  });

  it('a failed CreateContainer reserves no huge pages', async (context) => {
    const file = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
    if (!existsSync(file)) {
      context.skip('this kernel has no huge pages of 2 MiB');
      return;
    }
    const earlier = readFileSync(file, 'utf8');
    context.after(() => writeFileSync(file, earlier));
    const attempts: readonly (readonly [args: readonly string[], ...options: string[]])[] = [
      [['true'], 'pagesize=2097152', 'size=2097152', 'bogus'],
      [['true'], 'pagesize=2097152', 'size=2097152', 'fsgid=none'],
      [['true'], 'pagesize=2097152', 'size=999999999999999999'],
      [['/no/such/program'], 'pagesize=2097152', 'size=2097152'],
    ];
    for (const [args, ...options] of attempts) {
      const creation = request(args);
      const mountPoint = '/run/kata-containers/sandbox/ephemeral/huge';
      const storage = { driver: 'ephemeral', source: 'nodev', fstype: 'hugetlbfs', mountPoint, options };
      creation.storages.push(create(StorageSchema, storage));
      assert.notEqual((await answerOf(client.createContainer(creation))).code, 'OK');
      assert.equal(readFileSync(file, 'utf8'), earlier, [...args, ...options].join(' '));
    }
  });

  it('a failed CreateContainer does not reset a sysctl that a concurrent request sets', async () => {
    const file = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
    const value = (): string =>
      execFileSync('nsenter', ['--net', '-t', String(agent.process.pid), 'cat', file], {
        encoding: 'utf8',
      }).trim();
    const [failing, succeeding] = [request(['/no/such/program']), request(['sleep', '1000'])];
    for (const { OCI } of [failing, succeeding])
      if (OCI?.Linux) OCI.Linux.Sysctl = { 'net.ipv4.ip_unprivileged_port_start': '0' };
    assert.notEqual(value(), '0');
    const results = await Promise.all(
      [failing, succeeding].map((each) => answerOf(client.createContainer(each))),
    );
    assert.deepEqual(
      results.map(({ code }) => code === 'OK'),
      [false, true],
    );
    assert.equal(value(), '0');
  });
});

/** Returns the mount points of the cgroup hierarchies in which a process of the guest has a cgroup. */
function hierarchies(): readonly string[] {
  const top = '/sys/fs/cgroup';
  if (existsSync(join(top, 'cgroup.controllers'))) return [top];
  return readdirSync(top, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'unified')
    .map((entry) => join(top, entry.name));
}

function createCgroup(cgroup: string, pid: number): void {
  mkdirSync(cgroup);
  for (const name of ['cpuset.cpus', 'cpuset.mems'])
    if (existsSync(join(cgroup, name)) && existsSync(join(cgroup, 'tasks')))
      writeFileSync(join(cgroup, name), readFileSync(join(cgroup, '..', name)));
  writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
}

/** Removes cgroups; returns false while the kernel still has a process in one of them. */
function tryRemove(cgroups: readonly string[]): boolean {
  try {
    for (const cgroup of cgroups.filter((each) => existsSync(each))) rmdirSync(cgroup);
    return true;
  } catch {
    return false;
  }
}
