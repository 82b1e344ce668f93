import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';
import { bundleForGuest, developerHome } from '@kata-agent/tool-vm/image';
import { shellPort } from '@kata-agent/tool-vm/inside/ports';
import { readAll, readUntil, sha256, writeAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs } from '../harness/rootfs.js';
import { guestState } from './guest-state.js';
import { hardened, takesNoMoreModules } from './hardened.js';
import { ext4Disk } from './hotplug.js';
import { boot, imageOf, poweredOff, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { configForSharedRoots } from './shared-root.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine('virtiofsd') ?? false;
const floodProgram = `${developerHome}/flood.mjs`;
/**
 * The maximum that a client sends, more than the agent may grow. The acceptance run uses `VM_FLOOD=1024`, which takes
 * minutes.
 */
const floodMegabytes = Number(process.env['VM_FLOOD'] ?? 48);

/** Unknown words go to the first program's environment, and words after -- to its arguments. */
const unknownWords = [
  'NODE_OPTIONS=--require=/nowhere.js',
  'LD_PRELOAD=/nowhere.so',
  'X=y',
  '--',
  '--explain',
  '-c',
  '/nowhere.toml',
];

const shared = '/run/kata-containers/shared/containers';

describe('a guest: kernel, PID 1, vsock, containers, power-off', { skip }, () => {
  const guest = runningGuest('guest', async (directory) => {
    const share = join(directory, 'share');
    const rootfs = makeRootfs(directory);
    const disk = ext4Disk(directory, 'rootfs', rootfs);
    mkdirSync(join(share, 'pod'), { recursive: true });
    renameSync(rootfs, join(share, 'pod', 'rootfs'));
    const config = join(directory, 'start.toml');
    writeFileSync(config, configForSharedRoots());
    const image = await imageOf('start', { config });
    const flood = join(directory, 'flood.mjs');
    await bundleForGuest('flood', flood);
    return boot(image, directory, {
      share,
      disks: [disk],
      append: unknownWords,
      overlay: [{ path: floodProgram, data: readFileSync(flood), mode: 0o644 }],
    });
  });

  it('starts the agent with fixed arguments and an empty environment, with any kernel command line (S23)', async () => {
    const line = await shell(guest.machine, 'tr "\\0" "\\n" < /proc/1/cmdline');
    assert.deepEqual(line.trim().split('\n'), [
      '/usr/bin/node',
      ...agentNodeOptions,
      '/usr/lib/kata-agent/kata-agent.cjs',
    ]);
    assert.equal((await shell(guest.machine, 'cat /proc/1/environ')).trim(), '');
    assert.match(await shell(guest.machine, 'cat /proc/cmdline'), /NODE_OPTIONS=--require=\/nowhere\.js/);
  });

  it('has the mounts, the loopback interface and the cgroups of a guest', async () => {
    const mounts = await shell(guest.machine, 'cut -d " " -f 2,3 /proc/1/mounts');
    for (const mount of ['/proc proc', '/sys sysfs', '/dev devtmpfs', '/run tmpfs', '/sys/fs/cgroup cgroup2'])
      assert.ok(mounts.split('\n').includes(mount), `${mount} in\n${mounts}`);
    // IFF_UP and IFF_LOOPBACK.
    assert.equal(await shell(guest.machine, 'cat /sys/class/net/lo/flags'), '0x9\n');
    assert.match(await shell(guest.machine, 'cat /sys/fs/cgroup/cgroup.controllers'), /memory/);
  });

  hardened(guest);

  it('serves no peer without its key on this machine’s ports', async () => {
    const known = guest.machine.connect(shellPort);
    await once(known, 'connect');
    const port = known.remotePort ?? 0;
    known.destroy();
    for (const words of ['id\n', `${'0'.repeat(32)}id\n`, '']) {
      const stranger = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      stranger.setTimeout(60_000, () => stranger.destroy(new Error('the relay does not answer a stranger')));
      stranger.end(words);
      const answer: unknown[] = await stranger.toArray();
      assert.equal(answer.length, 0, words);
    }
  });

  it('reaches nothing of its host', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nreached'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      // 10.0.2.2 is QEMU's address for this machine.
      const line = `wget -q -O - http://10.0.2.2:${String(port)}/ 2>&1 || busybox true`;
      assert.doesNotMatch(await shell(guest.machine, `busybox ${line}`), /reached/);
    } finally {
      server.close();
    }
  });

  it('creates a sandbox with a directory of the host, and runs a container from it', async () => {
    const storages = [
      { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: `${shared}/` },
    ];
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages });
    const script =
      'echo "process $$"; cat /proc/1/cgroup; echo ready; read line; echo "you wrote: $line"; exit 7';
    const rootfs = `${shared}/pod/rootfs`;
    const id = 'directory';
    await guest.agent.createContainer(
      containerRequest({ id, rootfs, args: ['sh', '-c', script], memoryLimit: 64n << 20n }),
    );
    await guest.agent.startContainer({ containerId: id });
    // In its own cgroup namespace, without a request for one.
    assert.equal(await readUntil(guest.agent, id, 'ready\n'), 'process 1\n0::/\nready\n');
    const cgroup = `/sys/fs/cgroup/kata-agent-test-${process.pid}/${id}`;
    assert.equal((await shell(guest.machine, `cat ${cgroup}/memory.max`)).trim(), String(64 << 20));
    await writeAll(guest.agent, id, Buffer.from('hello over vsock\n'));
    assert.equal(String(await readAll(guest.agent, 'stdout', id)).trim(), 'you wrote: hello over vsock');
    assert.equal((await guest.agent.waitProcess({ containerId: id, execId: id })).status, 7);
    await guest.agent.removeContainer({ containerId: id });
  });

  takesNoMoreModules(guest);

  it('runs a container from a disk, and transfers 2 MiB through it', async () => {
    const id = 'disk';
    const rootfs = `/run/kata-containers/${id}/rootfs`;
    const request = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args: ['cat'] }));
    const disk = { driver: 'blk', source: '10', fstype: 'ext4', mountPoint: rootfs };
    request.storages.push(create(StorageSchema, disk));
    await guest.agent.createContainer(request);
    await guest.agent.startContainer({ containerId: id });
    const data = Buffer.alloc(2 << 20, 'kata');
    const [, echoed] = await Promise.all([
      writeAll(guest.agent, id, data),
      readAll(guest.agent, 'stdout', id),
    ]);
    assert.equal(sha256(echoed), sha256(data));
    assert.equal((await guest.agent.waitProcess({ containerId: id, execId: id })).status, 0);
    await guest.agent.removeContainer({ containerId: id });
  });

  it('denies methods outside of its configuration', async () => {
    await assert.rejects(
      guest.agent.execProcess({ containerId: 'directory', execId: 'e' }),
      (error: unknown) => error instanceof TtrpcError && error.code === Code.Unimplemented,
    );
  });

  it("does not grow if a client does not read a container's output", async (context) => {
    await started('writer', ['yes']);
    await flood(context, 'ReadStdout', 'writer');
    await killed('writer');
  });

  it('does not grow if a container does not read its input', async (context) => {
    await started('reader', ['sleep', '1000']);
    await flood(context, 'WriteStdin', 'reader');
    await killed('reader');
  });

  async function started(id: string, args: readonly string[]): Promise<void> {
    await guest.agent.createContainer(containerRequest({ id, rootfs: `${shared}/pod/rootfs`, args }));
    await guest.agent.startContainer({ containerId: id });
  }

  async function killed(id: string): Promise<void> {
    await guest.agent.signalProcess({ containerId: id, execId: id, signal: 9 });
    assert.equal((await guest.agent.waitProcess({ containerId: id, execId: id })).status, 128 + 9);
    await guest.agent.removeContainer({ containerId: id });
  }

  /** A client in the guest, over vsock, calls repeatedly without reading an answer: the agent must not grow. */
  async function flood(context: TestContext, method: string, container: string): Promise<void> {
    const { sent, growth } = JSON.parse(
      await shell(guest.machine, `/usr/bin/node ${floodProgram} ${method} ${container} ${floodMegabytes}`),
    ) as { readonly sent: number; readonly growth: number };
    const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
    context.diagnostic(`${method}: sent ${megabytes(sent)}, the agent grew by ${megabytes(growth)}`);
    assert.ok(growth < 32 << 20, megabytes(growth));
  }

  it('has an audit log of all that, which can be read and verifies', async () => {
    const records = await verifiedRecord(guest.machine, guest.directory);
    assert.ok(records.some(({ kind, method }) => kind === 'refusal' && method === 'ExecProcess'));
    assert.ok(records.some(({ kind, peer }) => kind === 'call' && peer === 'cid 1'));
    // A process that has just exited appears for a moment.
    let zombies = 1;
    for (let look = 0; zombies > 0 && look < 100; look++) ({ zombies } = await guestState(guest.machine));
    assert.equal(zombies, 0);
  });

  it('powers the machine off when the sandbox ends', async () => {
    await guest.agent.destroySandbox({});
    assert.equal(await poweredOff(guest.machine), 0);
    const end = guest.machine.lines.join('\n');
    assert.match(end, /kata-agent: PID 1 ends with code 0; the machine is powered off/);
    assert.match(end, /reboot: Power down/);
    assert.doesNotMatch(end, /Kernel panic/);
  });
});
