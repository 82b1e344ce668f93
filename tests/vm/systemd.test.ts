import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import type { AgentService, CreateContainerRequest } from '@kata-agent/protocol/agent';
import { LinuxResourcesSchema } from '@kata-agent/protocol/oci';
import type { Channel, Client } from '@kata-agent/ttrpc';
import { readAll, readUntil } from '../harness/container-client.js';
import { processRequest } from '../harness/container-request.js';
import { runtimeName } from '../harness/oci-runtime.js';
import {
  container,
  ext4Disk,
  imageStorage,
  mebibyte,
  openConfiguration,
  openImage,
  rootDirectory,
} from './hotplug.js';
import { agentIn, boot, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { systemdOverlay } from './systemd-guest.js';

const skip = whyNoMachine('e2fsprogs') ?? false;

/** Runs its input, line by line; continues after an end of file, as when the agent is killed. */
const shellLoop = `echo ready
while :; do
  if read -r line; then eval "$line"; echo "code $? over"; else sleep 0.5; fi
done`;
const sigkill = 9;

describe('a guest whose init is systemd', { skip }, () => {
  const guest = runningGuest('systemd', async (directory) => {
    const disks = [ext4Disk(directory, 'image', rootDirectory(directory, 'root'))];
    const runtime = runtimeName === 'crun' ? '/usr/bin/crun' : '/usr/sbin/runc';
    const overlay = [...systemdOverlay(), openConfiguration(`oci_runtime = "${runtime}"`)];
    const append = ['rdinit=/init', 'net.ifnames=0', 'systemd.unit=kata-containers.target'];
    return boot(await openImage('systemd'), directory, { overlay, disks, append, memory: 768 });
  });
  let agent: Client<typeof AgentService>;
  let channel: Channel;

  before(async () => {
    ({ agent, channel } = await agentIn(guest.machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages: [imageStorage] });
  });
  after(() => channel?.close());

  const run = async (line: string): Promise<string> => (await shell(guest.machine, line)).trim();
  const show = (unit: string, property: string): Promise<string> =>
    run(`systemctl show --property=${property} --value ${unit}`);
  const directory = '/sys/fs/cgroup/system.slice/kata-one.scope';

  /** Runs a command in the guest's shell until it prints what is expected. */
  async function until(line: string, expected: string): Promise<void> {
    for (let look = 0; look < 300; look++) {
      if ((await run(line)) === expected) return;
      await delay(100);
    }
    assert.equal(await run(line), expected, line);
  }

  function inCgroup(request: CreateContainerRequest, path: string): CreateContainerRequest {
    if (request.OCI?.Linux !== undefined) request.OCI.Linux.CgroupsPath = path;
    return request;
  }

  async function start(request: CreateContainerRequest): Promise<void> {
    const { containerId } = request;
    await agent.createContainer(request);
    await agent.startContainer({ containerId });
    await readUntil(agent, containerId, 'ready');
  }

  /** Runs a command in the shell that is the first process of a container; returns its output and exit code. */
  async function ask(containerId: string, command: string): Promise<string> {
    const data = Buffer.from(`(${command}) 2>&1\n`);
    await agent.writeStdin({ containerId, execId: containerId, data });
    return readUntil(agent, containerId, ' over\n');
  }

  /** Executes a process in a container; returns its cgroup, in the container's cgroup namespace. */
  async function cgroupOfExec(containerId: string): Promise<string> {
    const execId = 'exec';
    const process = processRequest(['cat', '/proc/self/cgroup']);
    await agent.execProcess({ containerId, execId, process });
    const output = await readAll(agent, 'stdout', containerId, execId);
    assert.equal((await agent.waitProcess({ containerId, execId })).status, 0);
    return String(output);
  }

  it('asks systemd for the cgroup of a container, with its limits', async () => {
    const request = inCgroup(container('one', shellLoop), 'system.slice:kata:one');
    const { Linux: linux, Process: process } = request.OCI ?? {};
    if (linux !== undefined)
      linux.Resources = create(LinuxResourcesSchema, {
        Memory: { Limit: BigInt(64 * mebibyte) },
        Pids: { Limit: 20n },
      });
    for (const set of [
      process?.Capabilities?.Bounding,
      process?.Capabilities?.Effective,
      process?.Capabilities?.Permitted,
    ])
      set?.push('CAP_MKNOD');
    await start(request);
    assert.equal(await show('kata-one.scope', 'ControlGroup'), '/system.slice/kata-one.scope');
    assert.equal(await show('kata-one.scope', 'ActiveState'), 'active');
    assert.equal(await show('kata-one.scope', 'MemoryMax'), String(64 * mebibyte));
    assert.equal(await run(`cat ${directory}/memory.max`), String(64 * mebibyte));
    assert.equal(await run(`cat ${directory}/pids.max`), '20');
    assert.equal(await run(`find ${directory} -mindepth 1 -type d`), '', 'no cgroup within');

    const { cgroupStats } = await agent.statsContainer({ containerId: 'one' });
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, BigInt(64 * mebibyte));
    assert.equal(cgroupStats?.pidsStats?.limit, 20n);
    assert.equal(cgroupStats?.pidsStats?.current, BigInt(await run(`cat ${directory}/pids.current`)));
    assert.equal(await cgroupOfExec('one'), '0::/\n');
  });

  it('changes its limits, and keeps its device rules, also when systemd reads its units again', async () => {
    const resources = { Memory: { Limit: BigInt(96 * mebibyte) } };
    const denied = async (): Promise<void> => {
      const opens = (minor: number): string =>
        `rm -f /dev/own; mknod /dev/own c 1 ${minor}; dd if=/dev/own of=/dev/null bs=1 count=1`;
      // The guest's log, and /dev/zero.
      assert.match(await ask('one', opens(11)), /dd: .*not permitted/);
      assert.match(await ask('one', opens(5)), /code 0/);
    };
    await denied();
    await agent.updateContainer({ containerId: 'one', resources });
    await run('systemctl daemon-reload');
    assert.equal(await run(`cat ${directory}/memory.max`), String(96 * mebibyte));
    await denied();
  });

  it('pauses and resumes it', async () => {
    await agent.pauseContainer({ containerId: 'one' });
    assert.match(await run(`cat ${directory}/cgroup.events`), /frozen 1/);
    await agent.resumeContainer({ containerId: 'one' });
    await until(`grep frozen ${directory}/cgroup.events`, 'frozen 0');
    assert.equal(await ask('one', 'echo again'), 'again\ncode 0 over\n');
  });

  it('refuses a scope of a name that systemd knows, which the runtime would stop', async () => {
    const create = (id: string, path: string): Promise<unknown> =>
      agent.createContainer(inCgroup(container(id, shellLoop), path));
    await assert.rejects(create('two', 'kata.slice:kata:one'), /"kata-one\.scope" is in use by another/);
    await assert.rejects(create('two', 'kata.slice:a:b.slice'), /the name is that of a slice/);
    await assert.rejects(create('two', 'kata:one:two'), /"kata" is not the name of a slice/);
    assert.equal(await show('kata-one.scope', 'ActiveState'), 'active');
    assert.equal(await run('ls -d /sys/fs/cgroup/kata.slice 2>/dev/null; true'), '');
  });

  it('creates other paths in the file system', async () => {
    await start(inCgroup(container('three', shellLoop), '/pod/three'));
    assert.equal(await run('cat /sys/fs/cgroup/pod/three/pids.current'), '1');
    await agent.removeContainer({ containerId: 'three' });
    assert.equal(await run('ls -d /sys/fs/cgroup/pod 2>/dev/null; true'), '');
  });

  it('limits it, and reports an OOM kill, although systemd removes the cgroup with the last process', async () => {
    const event = agent.getOOMEvent({});
    const forks = '(for n in $(seq 30); do sleep 1000 & done) 2>&1';
    const script = `echo ready; read line; ${forks}; read line; exec dd if=/dev/zero of=/dev/null bs=100M count=1`;
    const request = inCgroup(container('greedy', script), 'kata-pod.slice:kata:greedy');
    const limits = { Memory: { Limit: BigInt(32 * mebibyte) }, Pids: { Limit: 20n } };
    if (request.OCI?.Linux) request.OCI.Linux.Resources = create(LinuxResourcesSchema, limits);
    await start(request);
    const path = '/kata.slice/kata-pod.slice/kata-greedy.scope';
    assert.equal(await show('kata-greedy.scope', 'ControlGroup'), path);
    const go = { containerId: 'greedy', execId: 'greedy', data: Buffer.from('\n') };
    await agent.writeStdin(go);
    await readUntil(agent, 'greedy', "can't fork");
    await agent.writeStdin(go);
    assert.equal((await event).containerId, 'greedy');
    assert.equal(
      (await agent.waitProcess({ containerId: 'greedy', execId: 'greedy' })).status,
      128 + sigkill,
    );
    await until(`ls -d /sys/fs/cgroup${path} 2>/dev/null; true`, '');
    await agent.statsContainer({ containerId: 'greedy' });
    await agent.removeContainer({ containerId: 'greedy' });
    await until('systemctl show --property=LoadState --value kata-greedy.scope', 'not-found');
  });

  it('keeps a container when the agent is killed, and removes it with its unit', async () => {
    const pid = (): Promise<string> => show('kata-agent', 'MainPID');
    const killed = await pid();
    await run(`kill -9 ${killed}`);
    channel.close();
    const again = `systemctl show --property=MainPID,ActiveState --value kata-agent | grep -vx -e 0 -e ${killed}`;
    await until(`${again} | grep -c .; true`, '2');
    await until('systemctl is-active kata-agent; true', 'active');
    ({ agent, channel } = await agentIn(guest.machine));
    assert.notEqual(await pid(), killed);
    assert.equal(await ask('one', 'echo still'), 'still\ncode 0 over\n');
    const { cgroupStats } = await agent.statsContainer({ containerId: 'one' });
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, BigInt(96 * mebibyte));
    await assert.rejects(
      agent.createContainer(inCgroup(container('two', shellLoop), 'kata.slice:kata:one')),
      /"kata-one\.scope" is in use by another/,
    );
    await agent.pauseContainer({ containerId: 'one' });
    await agent.resumeContainer({ containerId: 'one' });
    await agent.signalProcess({ containerId: 'one', execId: '', signal: sigkill });
    const { status } = await agent.waitProcess({ containerId: 'one', execId: 'one' });
    // Unknown if systemd, now its parent, waited for it before the agent had read its exit code.
    assert.ok([128 + sigkill, 255].includes(status), String(status));
    await agent.removeContainer({ containerId: 'one' });
    await until('systemctl show --property=LoadState --value kata-one.scope', 'not-found');
    assert.equal(await run(`ls -d ${directory} 2>/dev/null; true`), '');
  });
});
