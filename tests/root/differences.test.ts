// Differences from Kata's agent that a client sees, by their ids in lib/catalogue/src/differences.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { parseMountTable } from '@kata-agent/linux';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { BoxSchema, type Linux, LinuxDeviceSchema, LinuxResourcesSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { runtimeName } from '../harness/oci-runtime.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

describe('a difference from Kata’s agent', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-root-'));
    rootfs = makeRootfs(directory);
    process = await AgentProcess.start();
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    await process.dispose();
    rmSync(directory, { recursive: true });
  });

  async function created(args: readonly string[], terminal = false): Promise<string> {
    count += 1;
    const id = `difference-${count}-${globalThis.process.pid}`;
    await agent.createContainer(containerRequest({ id, rootfs, args, terminal }));
    return id;
  }

  async function started(args: readonly string[], terminal = false): Promise<string> {
    const id = await created(args, terminal);
    await agent.startContainer({ containerId: id });
    return id;
  }

  /** Returns a request and the Linux part of its specification, to be changed. */
  function requestOf(args: readonly string[]): CreateContainerRequest & { readonly linux: Linux } {
    count += 1;
    const id = `difference-${count}-${globalThis.process.pid}`;
    const request = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
    const linux = request.OCI?.Linux;
    assert.ok(linux);
    return Object.assign(request, { linux });
  }

  it('create-existing-id: it is refused, and the first container continues', async () => {
    const id = await started(['cat'], true);
    const answer = await answerOf(agent.createContainer(containerRequest({ id, rootfs, args: ['true'] })));
    assert.equal(answer.code, 'ALREADY_EXISTS', answer.message);
    await agent.writeStdin({ containerId: id, execId: '', data: Buffer.from('still here\n') });
    await readUntil(agent, id, 'still here');
    await agent.removeContainer({ containerId: id });
  });

  it('start-twice: it is refused at once, and other calls are served', async () => {
    const id = await started(['sleep', '1000']);
    const answer = await answerOf(agent.startContainer({ containerId: id }));
    assert.equal(answer.code, 'FAILED_PRECONDITION', answer.message);
    await agent.statsContainer({ containerId: id });
    await agent.removeContainer({ containerId: id });
  });

  it('wait-again: the exit code is returned again, of a container and of an exec', async () => {
    const id = await started(['sh', '-c', 'read x; exit 5']);
    await agent.execProcess({
      containerId: id,
      execId: 'e',
      process: processRequest(['sh', '-c', 'exit 6']),
    });
    for (let times = 0; times < 2; times += 1)
      assert.equal((await agent.waitProcess({ containerId: id, execId: 'e' })).status, 6);
    await agent.closeStdin({ containerId: id, execId: '' });
    const { status } = await agent.waitProcess({ containerId: id, execId: '' });
    assert.notEqual(status, 0);
    const other = await process.connect();
    for (const execId of ['', id])
      assert.equal((await other.agent.waitProcess({ containerId: id, execId })).status, status);
    assert.equal((await other.agent.waitProcess({ containerId: id, execId: 'e' })).status, 6);
    await agent.removeContainer({ containerId: id });
    assert.notEqual((await answerOf(agent.waitProcess({ containerId: id, execId: '' }))).code, 'OK');
  });

  it('own-output: a process reads its own output, and a child that remains writes more after its end', async () => {
    const id = await started(['sleep', '1000']);
    const exec = async (execId: string, script: string): Promise<string> => {
      await agent.execProcess({ containerId: id, execId, process: processRequest(['sh', '-c', script]) });
      return String(await readAll(agent, 'stdout', id, execId));
    };
    // Reading would take bytes from the agent: the access mode of the descriptor is 2, for reading and writing.
    for (const fd of [1, 2])
      assert.match(
        await exec(`flags-${fd}`, `cat /proc/$$/fdinfo/${fd}`),
        /^flags:\s+0[0-7]*[26]$/m,
        String(fd),
      );
    const remains = 'until [ -e /tmp/over ]; do sleep 0.1; done; yes | head -c 3000000; echo $? > /tmp/done';
    assert.equal(await exec('parent', `(${remains}) & echo parent; exit 3`), 'parent\n');
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'parent' })).status, 3);
    assert.equal(
      await exec(
        'after',
        ': > /tmp/over; n=0; until [ -s /tmp/done ] || [ $n = 300 ]; do sleep 0.1; n=$((n + 1)); done; cat /tmp/done',
      ),
      '0\n',
    );
    await agent.removeContainer({ containerId: id });
  });

  it('exec-paused: it is refused at once, and succeeds once the container is resumed', async () => {
    const id = await started(['sleep', '1000']);
    await agent.pauseContainer({ containerId: id });
    const exec = { containerId: id, execId: 'e', process: processRequest(['true']) };
    assert.equal((await answerOf(agent.execProcess(exec))).code, 'FAILED_PRECONDITION');
    await agent.resumeContainer({ containerId: id });
    await agent.execProcess(exec);
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'e' })).status, 0);
    await agent.removeContainer({ containerId: id });
  });

  it('pause-created: a container that is not started cannot be paused', async () => {
    const id = await created(['true']);
    assert.equal((await answerOf(agent.pauseContainer({ containerId: id }))).code, 'FAILED_PRECONDITION');
    await agent.removeContainer({ containerId: id });
  });

  it('stderr-terminal: stderr of a process with a terminal is at its end', async () => {
    const id = await started(['cat'], true);
    const { data } = await agent.readStderr({ containerId: id, execId: '', len: 100 });
    assert.equal(data.length, 0);
    await agent.removeContainer({ containerId: id });
  });

  it('resize-no-terminal: it is refused in a way that is not tried again', async () => {
    const id = await started(['sleep', '1000']);
    const answer = await answerOf(agent.ttyWinResize({ containerId: id, execId: '', row: 1, column: 1 }));
    assert.equal(answer.code, 'FAILED_PRECONDITION', answer.message);
    await agent.removeContainer({ containerId: id });
  });

  it('create-environment: an empty HOME is replaced by runc, and a variable without a name is refused', async () => {
    const request = { id: 'home', rootfs, args: ['sh', '-c', 'echo "home=$HOME"'], env: ['HOME='] };
    await agent.createContainer(containerRequest(request));
    await agent.startContainer({ containerId: 'home' });
    assert.match(
      String(await readAll(agent, 'stdout', 'home')),
      runtimeName === 'crun' ? /^home=\n$/ : /^home=\/.*\n$/,
    );
    await agent.removeContainer({ containerId: 'home' });
    const nameless = containerRequest({ ...request, id: 'nameless', env: ['=x'] });
    assert.equal((await answerOf(agent.createContainer(nameless))).code, 'INVALID_ARGUMENT');
  });

  it('create-net-cls: a network class and priorities are not given to the OCI runtime', async () => {
    const request = requestOf(['true']);
    const network = { ClassID: 0x10_001, Priorities: [{ Name: 'lo', Priority: 5 }] };
    request.linux.Resources = create(LinuxResourcesSchema, { Network: network, Pids: { Limit: 99n } });
    await agent.createContainer(request);
    const { containerId } = request;
    const bundle = `/proc/${process.process.pid}/root/run/kata-agent/bundles/${containerId}`;
    const { linux } = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
      linux: { resources: Record<string, unknown> };
    };
    assert.deepEqual(linux.resources['pids'], { limit: 99 });
    assert.equal(linux.resources['network'], undefined);
    await agent.removeContainer({ containerId });
  });

  it('create-device-nodes: a node may be outside of /dev, and has mode 0666 if the request has none', async () => {
    const request = requestOf(['busybox', 'stat', '-c', '%a %t:%T', '/srv/null', '/dev/other', '/dev/own']);
    const nodeOf = (Path: string, FileMode: number) =>
      create(LinuxDeviceSchema, { Path, Type: 'c', Major: 1n, Minor: 3n, FileMode });
    request.linux.Devices = [nodeOf('/srv/null', 0), nodeOf('/dev/other', 0), nodeOf('/dev/own', 0o640)];
    await agent.createContainer(request);
    const { containerId } = request;
    await agent.startContainer({ containerId });
    assert.equal(String(await readAll(agent, 'stdout', containerId)), '666 1:3\n666 1:3\n640 1:3\n');
    await agent.removeContainer({ containerId });
  });

  it('create-device-nodes: with a configuration only those of devices that it names', async () => {
    const config = '[agent]\ndevices = ["c 10:237"]\n[api]\nallowed_endpoints = ["@pod"]\n';
    const other = await AgentProcess.start({ config });
    try {
      const { agent: client } = await other.connect();
      await client.createSandbox({ sandboxId: 'pod' });
      const answerFor = async (Minor: bigint) => {
        const request = requestOf(['true']);
        const { linux, containerId } = request;
        linux.Devices = [create(LinuxDeviceSchema, { Path: '/srv/device', Type: 'c', Major: 10n, Minor })];
        const answer = await answerOf(client.createContainer(request));
        if (answer.code === 'OK') await client.removeContainer({ containerId });
        return answer;
      };
      assert.equal((await answerFor(237n)).code, 'OK');
      const refused = await answerFor(236n);
      assert.equal(refused.code, 'PERMISSION_DENIED');
      assert.match(refused.message, /devices \(\/srv\/device\): \[agent\] devices can allow it/);
    } finally {
      await other.dispose();
    }
  });

  it('create-limits: 0 is not set, -1 is no limit, swap includes memory, and a cpuset is a list', async () => {
    const mebibytes = (count: number): bigint => BigInt(count) << 20n;
    const request = requestOf(['sleep', '1000']);
    const { containerId, linux } = request;
    linux.Resources = create(LinuxResourcesSchema, {
      Memory: { Limit: mebibytes(64), Swap: mebibytes(96) },
      CPU: { Quota: 50_000n, Period: 100_000n },
      Pids: { Limit: 99n },
    });
    await agent.createContainer(request);
    await agent.startContainer({ containerId });
    /** The file of v2, or else the one of v1. */
    const limitOf = (v2: string, controller: string, v1: string): string => {
      const group = `${cgroupParent}/${containerId}`;
      const file = `/sys/fs/cgroup/${group}/${v2}`;
      return readFileSync(
        existsSync(file) ? file : `/sys/fs/cgroup/${controller}/${group}/${v1}`,
        'utf8',
      ).trim();
    };
    const memory = () => limitOf('memory.max', 'memory', 'memory.limit_in_bytes');
    const swap = () => limitOf('memory.swap.max', 'memory', 'memory.memsw.limit_in_bytes');
    const quota = () => limitOf('cpu.max', 'cpu', 'cpu.cfs_quota_us').split(' ')[0];
    assert.equal(memory(), String(mebibytes(64)));
    // Under v2 the swap alone: with Kata's agent it would be 96 MiB there.
    assert.ok([String(mebibytes(32)), String(mebibytes(96))].includes(swap()));
    if (existsSync('/sys/fs/cgroup/cgroup.controllers')) assert.equal(swap(), String(mebibytes(32)));
    assert.equal(quota(), '50000');
    await agent.updateContainer({ containerId, resources: { Memory: { Limit: 0n }, CPU: { Quota: 0n } } });
    assert.deepEqual([memory(), quota()], [String(mebibytes(64)), '50000']);
    await agent.updateContainer({
      containerId,
      resources: { Memory: { Limit: -1n, Swap: -1n }, CPU: { Quota: -1n } },
    });
    // v1 has the largest number of pages.
    assert.ok(memory() === 'max' || BigInt(memory()) > 1n << 60n, memory());
    assert.ok(['max', '-1'].includes(quota() ?? ''), quota());
    for (const Cpus of ['first', '1-', '3-1']) {
      const update = await answerOf(agent.updateContainer({ containerId, resources: { CPU: { Cpus } } }));
      assert.equal(update.code, 'INVALID_ARGUMENT', update.message);
      const other = requestOf(['true']);
      other.linux.Resources = create(LinuxResourcesSchema, { CPU: { Cpus } });
      assert.equal((await answerOf(agent.createContainer(other))).code, 'INVALID_ARGUMENT');
    }
    await agent.removeContainer({ containerId });
  });

  it('create-terminal: /dev/console is the terminal, and it has the size of the request', async () => {
    // Terminals of devpts have the major number 136.
    const script = 'stty size; busybox stat -c %t /dev/console; echo done';
    const request = requestOf(['sh', '-c', script]);
    const { containerId } = request;
    assert.ok(request.OCI?.Process);
    request.OCI.Process.Terminal = true;
    request.OCI.Process.ConsoleSize = create(BoxSchema, { Height: 41, Width: 103 });
    await agent.createContainer(request);
    await agent.startContainer({ containerId });
    assert.match(await readUntil(agent, containerId, 'done'), /^41 103\r\n88\r\ndone/);
    await agent.removeContainer({ containerId });
  });

  it('guest-mounts: mounts of a guest that shares them are private from the start, and state is a file system', async () => {
    const setup = 'mount --make-rshared / && mkdir -p /run/volume && mount -t tmpfs volume /run/volume';
    const other = await AgentProcess.start({ setup });
    try {
      const table = parseMountTable(readFileSync(`/proc/${other.process.pid}/mountinfo`, 'utf8'));
      const shared = table.filter(({ propagation }) => propagation.length > 0);
      assert.deepEqual(
        shared.map(({ target }) => target),
        [],
      );
      assert.ok(table.some(({ target }) => target === '/run/volume'));
      assert.equal(table.findLast(({ target }) => target === '/run/kata-agent')?.type, 'tmpfs');
    } finally {
      await other.dispose();
    }
  });

  it('cpu-weight: shares are converted by the OCI runtime', async () => {
    const request = requestOf(['sleep', '1000']);
    request.linux.Resources = create(LinuxResourcesSchema, { CPU: { Shares: 512n } });
    await agent.createContainer(request);
    const { containerId } = request;
    const group = `${cgroupParent}/${containerId}`;
    const weight = `/sys/fs/cgroup/${group}/cpu.weight`;
    if (existsSync(weight)) {
      // 20 by the formula of Kubernetes, which Kata's agent uses; 59 by the one of newer runtimes.
      assert.match(readFileSync(weight, 'utf8'), runtimeName === 'runc' ? /^(?:20|59)$/m : /^[1-9]\d*$/m);
    } else assert.equal(readFileSync(`/sys/fs/cgroup/cpu/${group}/cpu.shares`, 'utf8'), '512\n');
    await agent.removeContainer({ containerId });
  });
});
