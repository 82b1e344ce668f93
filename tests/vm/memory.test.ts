import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type BlkioStatsEntry,
  type CreateContainerRequest,
  type StatsContainerResponse,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { LinuxHugepageLimitSchema, LinuxResourcesSchema, MountSchema } from '@kata-agent/protocol/oci';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Qmp } from '@kata-agent/tool-vm/machine/qmp';
import { readUntil } from '../harness/container-client.js';
import { cgroupParent, processRequest } from '../harness/container-request.js';
import { whyWithout } from '../harness/prerequisites.js';
import { blankDisk, container, ext4Disk, Host, host, mebibyte, openImage, rootDirectory } from './hotplug.js';
import { boot, poweredOff, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine('e2fsprogs') ?? false;

/**
 * A machine that can grow. Linux accepts CPU hotplug only from a known hypervisor; QEMU's emulation is not one, and so
 * pretends to be another.
 */
const args = [
  ['-cpu', 'max,hypervisor=off,erms=off,fsrm=off', '-smbios', 'type=1,serial=VMware-1'],
  ['-smp', 'cpus=1,sockets=2,maxcpus=2', '-m', 'slots=2,maxmem=2G'],
  ['-object', 'memory-backend-ram,id=elastic-ram,size=256M'],
  ['-device', 'virtio-mem-pci,id=elastic,memdev=elastic-ram,requested-size=0'],
].flat();

/**
 * Plugged resources are onlined by the agent, as with Kata's kernels. The memory agent counts by debugfs, which
 * lockdown disables.
 */
const append = [
  'memhp_default_state=offline',
  'agent.mem_agent_enable=true',
  'agent.log=debug',
  'lockdown=none',
];

/** A file in the image that a container can read to have reclaimable memory. */
const bigFile = 24 * mebibyte;
const hugePage = 2 * mebibyte;

describe('memory and CPUs of a guest, with cgroup v2', { skip }, () => {
  const guest = runningGuest('memory', async (directory) => {
    const root = rootDirectory(directory, 'root', { big: 'kata'.repeat(bigFile / 4) });
    const disks = [ext4Disk(directory, 'image', root, 64 * mebibyte)];
    return boot(await openImage('memory'), directory, { args, append, disks });
  });
  let qmp: Qmp;
  let pod: Host;
  let execs = 0;

  before(async () => {
    qmp = await guest.machine.qmp();
    pod = new Host(guest.machine, qmp, guest.agent);
    await pod.sandbox();
  });

  after(() => qmp?.close());

  const file = (id: string, name: string): string => `/sys/fs/cgroup/${cgroupParent}/${id}/${name}`;
  const read = async (id: string, name: string): Promise<string> =>
    (await shell(guest.machine, `cat ${file(id, name)}`)).trim();

  /** Parses the kernel's `name value` lines, or `name=value` after a device. */
  async function table(id: string, name: string): Promise<ReadonlyMap<string, bigint>> {
    const pairs = [...(await read(id, name)).matchAll(/(\w+)[ =](\d+)/g)];
    return new Map(pairs.map(([, key = '', value = '']) => [key, BigInt(value)]));
  }

  async function start(request: CreateContainerRequest): Promise<void> {
    await guest.agent.createContainer(request);
    await guest.agent.startContainer({ containerId: request.containerId });
    await readUntil(guest.agent, request.containerId, 'ready');
  }

  /** Runs a shell command in an existing container. */
  async function exec(containerId: string, script: string): Promise<string> {
    const execId = `exec${++execs}`;
    await guest.agent.execProcess({ containerId, execId, process: processRequest(['sh', '-c', script]) });
    const { data } = await guest.agent.readStdout({ containerId, execId, len: 1024 });
    await guest.agent.waitProcess({ containerId, execId });
    return String(Buffer.from(data)).trim();
  }

  /** Of the guest, in MiB. */
  const memTotal = `awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo`;
  const memory = async (): Promise<number> => Number(await shell(guest.machine, memTotal));

  it('includes plugged CPUs and memory, also for its containers', async () => {
    const free = container('free', 'echo ready; sleep 1000');
    const pinned = container('pinned', 'echo ready; sleep 1000');
    if (pinned.OCI?.Linux !== undefined)
      pinned.OCI.Linux.Resources = create(LinuxResourcesSchema, { CPU: { Cpus: '0-1' } });
    await start(free);
    await start(pinned);
    const before = await memory();
    assert.equal(await exec('free', 'nproc'), '1');
    assert.equal(await read('pinned', 'cpuset.cpus.effective'), '0');

    await qmp.execute('device_add', {
      driver: 'max-x86_64-cpu',
      id: 'cpu1',
      'socket-id': 1,
      'core-id': 0,
      'thread-id': 0,
    });
    const plugMemory = async (id: string): Promise<void> => {
      await qmp.execute('object-add', {
        'qom-type': 'memory-backend-ram',
        id: `${id}-ram`,
        size: 128 * mebibyte,
      });
      await qmp.execute('device_add', { driver: 'pc-dimm', id, memdev: `${id}-ram` });
    };
    await plugMemory('first');
    await guest.agent.onlineCPUMem({ wait: true, nbCpus: 2, cpuOnly: false });
    assert.equal(await exec('free', 'nproc'), '2');
    assert.equal(await exec('pinned', 'nproc'), '2');
    assert.equal(await read('pinned', 'cpuset.cpus.effective'), '0-1');
    // The kernel adds memory asynchronously after a call; the next call does not wait for it.
    await plugMemory('second');
    await pod.until(memTotal, (text) => Number(text) >= before + 240);
    await guest.agent.onlineCPUMem({ nbCpus: 0, cpuOnly: false });
    await assert.rejects(guest.agent.onlineCPUMem({ nbCpus: 3 }), /3 CPUs were requested/);
    for (const containerId of ['free', 'pinned']) await guest.agent.removeContainer({ containerId });
  });

  it('includes memory from virtio-mem', async () => {
    const before = await memory();
    const elastic = { path: '/machine/peripheral/elastic', property: 'requested-size' };
    await qmp.execute('qom-set', { ...elastic, value: 128 * mebibyte });
    await pod.until(memTotal, (text) => Number(text) >= before + 120);
  });

  it('reports an error if memory cannot be added by address', async () => {
    const { supportMemHotplugProbe, memBlockSizeBytes } = await guest.agent.getGuestDetails({
      memBlockSize: true,
      memHotplugProbe: true,
    });
    const size = Number.parseInt(
      await shell(guest.machine, 'cat /sys/devices/system/memory/block_size_bytes'),
      16,
    );
    assert.equal(memBlockSizeBytes, BigInt(size));
    const hasProbe = (await shell(guest.machine, 'ls /sys/devices/system/memory')).includes('probe');
    assert.equal(supportMemHotplugProbe, hasProbe);
    const probe = guest.agent.memHotplugByProbe({ memHotplugProbeAddr: [0x2_0000_0000n] });
    await assert.rejects(
      probe,
      (error: unknown) =>
        error instanceof TtrpcError &&
        error.code === Code.FailedPrecondition &&
        /ARCH_MEMORY_PROBE/.test(error.message),
    );
  });

  it('reports one OOM kill once', async () => {
    const greedy = (id: string): CreateContainerRequest =>
      container(id, 'echo ready; dd if=/dev/zero of=/dev/null bs=100M count=1; read line', {
        memoryLimit: 32n << 20n,
      });
    const event = guest.agent.getOOMEvent({});
    await start(greedy('first'));
    assert.equal((await event).containerId, 'first');
    assert.equal((await table('first', 'memory.events')).get('oom_kill'), 1n);
    // Events are ordered: a second event of the first container would be answered here.
    const next = guest.agent.getOOMEvent({});
    await start(greedy('second'));
    assert.equal((await next).containerId, 'second');
    for (const containerId of ['first', 'second']) await guest.agent.removeContainer({ containerId });
  });

  it("pauses and resumes a container, and returns the kernel's counters meanwhile", async () => {
    const id = 'counted';
    const mountPoint = `/run/kata-containers/sandbox/ephemeral/${id}`;
    const script =
      'dd if=/dev/zero of=/written bs=1M count=2 conv=fsync; busybox fallocate -l 4194304 /huge/pages; echo ready; while read line; do echo "$line"; done';
    const request = container(id, `(${script}) 2>/dev/null`, { memoryLimit: 256n << 20n });
    const options = [`pagesize=${hugePage}`, `size=${4 * hugePage}`];
    request.storages.push(
      create(StorageSchema, {
        driver: 'ephemeral',
        source: 'nodev',
        fstype: 'hugetlbfs',
        mountPoint,
        options,
      }),
    );
    const bind = { destination: '/huge', source: mountPoint, type: 'bind', options: ['rbind', 'rw'] };
    request.OCI?.Mounts.push(create(MountSchema, bind));
    const resources = request.OCI?.Linux?.Resources;
    const limit = { Pagesize: '2MB', Limit: BigInt(3 * hugePage) };
    resources?.HugepageLimits.push(create(LinuxHugepageLimitSchema, limit));
    await start(request);
    assert.equal(await read(id, 'hugetlb.2MB.max'), String(3 * hugePage));
    await assert.rejects(guest.agent.resumeContainer({ containerId: id }));
    await guest.agent.pauseContainer({ containerId: id });
    assert.equal((await table(id, 'cgroup.events')).get('frozen'), 1n);

    const { stats, current } = await whileStill(id);
    const { cgroupStats } = stats;
    assert.ok(cgroupStats !== undefined);
    const { cpuStats, memoryStats, pidsStats, blkioStats, hugetlbStats } = cgroupStats;
    const cpu = await table(id, 'cpu.stat');
    const microseconds = (name: string): bigint => (cpu.get(name) ?? -1n) * 1000n;
    assert.equal(cpuStats?.cpuUsage?.totalUsage, microseconds('usage_usec'));
    assert.equal(cpuStats?.cpuUsage?.usageInUsermode, microseconds('user_usec'));
    assert.equal(cpuStats?.cpuUsage?.usageInKernelmode, microseconds('system_usec'));
    assert.ok(microseconds('usage_usec') > 0n);
    assert.equal(memoryStats?.usage?.usage, current);
    assert.equal(memoryStats?.usage?.maxUsage, BigInt(await read(id, 'memory.peak')));
    assert.equal(memoryStats?.usage?.limit, 256n << 20n);
    const memory = await table(id, 'memory.stat');
    assert.equal(memoryStats?.cache, memory.get('file'));
    assert.deepEqual(memoryStats?.stats['anon'], memory.get('anon'));
    assert.equal(pidsStats?.current, BigInt(await read(id, 'pids.current')));
    const io = await table(id, 'io.stat');
    const count = (entries: readonly BlkioStatsEntry[], op: string): bigint | undefined =>
      entries.find((entry) => entry.op === op)?.value;
    assert.ok((io.get('wbytes') ?? 0n) >= 2n << 20n, `${io.get('wbytes')} bytes were written`);
    assert.equal(count(blkioStats?.ioServiceBytesRecursive ?? [], 'write'), io.get('wbytes'));
    assert.equal(count(blkioStats?.ioServiceBytesRecursive ?? [], 'read'), io.get('rbytes'));
    assert.equal(count(blkioStats?.ioServiceBytesRecursive ?? [], 'wios'), io.get('wios'));
    assert.equal(hugetlbStats['2MB']?.usage, BigInt(2 * hugePage));
    assert.equal(hugetlbStats['2MB']?.usage, BigInt(await read(id, 'hugetlb.2MB.current')));

    await guest.agent.writeStdin({ containerId: id, execId: '', data: Buffer.from('awake\n') });
    await guest.agent.resumeContainer({ containerId: id });
    assert.match(await readUntil(guest.agent, id, 'awake'), /awake/);
    assert.equal((await table(id, 'cgroup.events')).get('frozen'), 0n);
    await guest.agent.removeContainer({ containerId: id });
  });

  /** Returns a container's metrics while its counters are stable. */
  async function whileStill(containerId: string): Promise<{
    readonly stats: StatsContainerResponse;
    /** `memory.current`: the kernel still counts charged memory. */
    readonly current: bigint;
  }> {
    const state = (): Promise<string> =>
      shell(guest.machine, `cd ${file(containerId, '')} && cat memory.current cpu.stat memory.stat io.stat`);
    for (let look = 0; look < 50; look++) {
      const before = await state();
      const stats = await guest.agent.statsContainer({ containerId });
      if ((await state()) === before) return { stats, current: BigInt(before.split('\n')[0] ?? '') };
    }
    throw new Error('the metrics of a paused container are not stable');
  }

  it('updates limits while a container runs', async () => {
    const id = 'limited';
    await start(container(id, 'echo ready; sleep 1000', { memoryLimit: 64n << 20n }));
    const resources = create(LinuxResourcesSchema, {
      Memory: { Limit: 96n << 20n },
      CPU: { Quota: 50_000n, Period: 100_000n, Shares: 512n, Cpus: '0' },
      Pids: { Limit: 77n },
    });
    await guest.agent.updateContainer({ containerId: id, resources });
    assert.equal(await read(id, 'memory.max'), String(96 << 20));
    assert.equal(await read(id, 'cpu.max'), '50000 100000');
    assert.equal(await read(id, 'cpuset.cpus.effective'), '0');
    assert.equal(await read(id, 'pids.max'), '77');
    const { cgroupStats } = await guest.agent.statsContainer({ containerId: id });
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, 96n << 20n);
    assert.equal(cgroupStats?.pidsStats?.limit, 77n);
    // Limits that are not in the next update are kept.
    await guest.agent.updateContainer({
      containerId: id,
      resources: create(LinuxResourcesSchema, { Memory: { Limit: 128n << 20n } }),
    });
    assert.equal(await read(id, 'memory.max'), String(128 << 20));
    assert.equal(await read(id, 'cpu.max'), '50000 100000');
    await guest.agent.removeContainer({ containerId: id });
  });

  it('executes in the cgroup of the first process, if the container has delegated its own', async () => {
    const id = 'delegated';
    await start(container(id, 'echo ready; sleep 1000'));
    // As systemd does in a container: a cgroup with controllers for its children has no processes.
    const delegation = [
      `mkdir ${file(id, 'init')}`,
      `for pid in $(cat ${file(id, 'cgroup.procs')}); do echo $pid > ${file(id, 'init/cgroup.procs')}; done`,
      `echo +pids > ${file(id, 'cgroup.subtree_control')}`,
    ];
    await shell(guest.machine, delegation.join(' && '));
    assert.match(await exec(id, 'cat /proc/self/cgroup'), /^0::.*\/init$/);
    await guest.agent.removeContainer({ containerId: id });
    assert.equal(
      (await shell(guest.machine, `ls -d ${file(id, '')} 2>/dev/null || echo none`)).trim(),
      'none',
    );
  });

  /** The memory of an idle container besides its files. */
  const held = 4 * mebibyte;

  it('reclaims memory that a container does not use', async () => {
    const id = 'idle';
    // A shell variable is anonymous memory.
    const script = `kept=$(head -c ${held} /big); cat /big > /dev/null; echo ready; sleep 1000; echo "$kept"`;
    await start(container(id, script));
    const before = await table(id, 'memory.stat');
    assert.ok((before.get('file') ?? 0n) >= bigFile, `${before.get('file')} bytes of files`);
    const often = {
      disabled: false,
      periodSecs: 1n,
      periodPsiPercentLimit: 100,
      evictionPsiPercentLimit: 100,
    };
    await guest.agent.memAgentMemcgSet({ ...often, evictionRunAgingCountMin: 1n });
    const current = `cat ${file(id, 'memory.current')}`;
    const max = Number((await read(id, 'memory.current')).trim());
    await pod.until(current, (text) => Number(text) < max - bigFile / 2);
    await guest.agent.memAgentMemcgSet({ disabled: true });
  });

  it('swaps to a plugged disk', async () => {
    const disk = blankDisk(guest.directory, 'swap', 64 * mebibyte);
    host('mkswap', '-q', disk);
    await pod.plug('swap', disk, { driver: 'virtio-blk-pci', addr: '0x15' });
    await guest.agent.addSwap({ PCIPath: [0x15] });
    const swaps = await shell(guest.machine, 'cat /proc/swaps');
    assert.match(swaps, /^\/dev\/vdb +partition\s+65532/m);
    await assert.rejects(guest.agent.addSwap({ PCIPath: [0x15] }), /\/dev\/vdb is already in use as swap/);
    await assert.rejects(
      guest.agent.addSwapPath({ path: '/dev/vdb' }),
      /\/dev\/vdb is already in use as swap/,
    );
  });

  it('reclaims memory to disk too', { skip: whyWithout('linux-6.11') ?? false }, async () => {
    const id = 'idle';
    await guest.agent.memAgentMemcgSet({ disabled: false, swap: true, swappinessMax: 200 });
    await pod.until(`cat ${file(id, 'memory.swap.current')}`, (text) => Number(text) > held / 2);
    await guest.agent.memAgentMemcgSet({ disabled: true });
    const { cgroupStats } = await guest.agent.statsContainer({ containerId: id });
    assert.ok((cgroupStats?.memoryStats?.swapUsage?.usage ?? 0n) > held / 2);
  });

  it('compacts free memory on request', async () => {
    const output = guest.machine.line(/free memory was compacted|memory agent: /);
    await guest.agent.memAgentCompactSet({
      disabled: false,
      periodSecs: 1n,
      periodPsiPercentLimit: 100,
      compactPsiPercentLimit: 100,
      compactForceTimes: 0n,
    });
    assert.match(
      await output,
      /free memory was compacted.*"end":"done"|"end":"done".*free memory was compacted/,
    );
    await guest.agent.memAgentCompactSet({ disabled: true });
  });

  it('disables the swap area when the sandbox ends', async () => {
    await guest.agent.destroySandbox({});
    assert.equal(await poweredOff(guest.machine), 0);
    const end = guest.machine.lines.join('\n');
    assert.match(end, /PID 1 ends with code 0; the machine is powered off/);
    assert.doesNotMatch(end, /could not undo/);
  });
});
