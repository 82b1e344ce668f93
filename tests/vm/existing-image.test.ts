import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type AgentService, CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import type { Channel, Client } from '@kata-agent/ttrpc';
import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs } from '../harness/rootfs.js';
import {
  bootAsInitrd,
  bootExisting,
  type ExistingImage,
  followGuide,
  unitFromHost,
} from './existing-image.js';
import { hostListener } from './listeners.js';
import { agentIn, listening, poweredOff, serves, shell, whyNoMachine } from './machine.js';

const skip =
  process.env['EXISTING_IMAGE'] === undefined
    ? 'minutes, and hundreds of packages from Debian: set EXISTING_IMAGE=1'
    : (whyNoMachine('e2fsprogs') ?? false);

/** A restricted configuration: its settings take precedence over the kernel command line. */
const locked = `
[agent]
lock = true
on_end = "power-off"

[api]
release = "4.1"
allowed_endpoints = ["@pod", "@stdio"]

${hostListener()}`;

const agentPid = 'systemctl show --property=MainPID --value kata-agent';

describe('an image with systemd, made by docs/existing-image.md', { skip }, () => {
  let directory = '';
  let image: ExistingImage;
  let machine: Machine;
  let agent: Client<typeof AgentService>;
  let channel: Channel;
  let count = 0;

  /** A disk with a container's root file system, in PCI slot 0x11. */
  function containerDisk(): string {
    const disk = join(directory, `container-${String(count)}.ext4`);
    writeFileSync(disk, '');
    truncateSync(disk, 16 << 20);
    const made = spawnSync('mkfs.ext4', ['-q', '-F', '-d', join(directory, 'rootfs'), disk]);
    assert.equal(made.status, 0, String(made.stderr));
    return disk;
  }

  async function start(options: {
    readonly config?: string;
    readonly append?: readonly string[];
    readonly args?: readonly string[];
  }): Promise<Machine> {
    count += 1;
    const { config = locked } = options;
    const own = join(directory, String(count));
    return bootExisting(image, own, { ...options, config, disks: [containerDisk()] });
  }

  async function runContainer(id: string, args: readonly string[], cgroup = `/pod/${id}`): Promise<void> {
    const rootfs = `/run/kata-containers/${id}/rootfs`;
    const request = create(
      CreateContainerRequestSchema,
      containerRequest({ id, rootfs, args, memoryLimit: 64n << 20n }),
    );
    if (request.OCI?.Linux !== undefined) request.OCI.Linux.CgroupsPath = cgroup;
    const disk = { driver: 'blk', source: '11', fstype: 'ext4', mountPoint: rootfs };
    request.storages.push(create(StorageSchema, disk));
    await agent.createContainer(request);
    await agent.startContainer({ containerId: id });
  }

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-existing-'));
    const begin = performance.now();
    image = await followGuide(directory);
    process.stderr.write(`the guide took ${((performance.now() - begin) / 1000).toFixed(0)} s\n`);
    makeRootfs(directory);
    const words = ['NODE_OPTIONS=--require=/nowhere.js', 'systemd.setenv=NODE_OPTIONS=--require=/nowhere.js'];
    machine = await start({
      append: [
        ...words,
        'systemd.show_status=true',
        'systemd.setenv=KATA_AGENT_LOG_LEVEL=trace',
        'agent.log=trace',
        'agent.debug_console',
        'systemd.import_credentials=no',
      ],
      args: unitFromHost('proof.service', '[Service]\nExecStart=/usr/bin/true\n'),
    });
    await serves(machine);
    ({ agent, channel } = await agentIn(machine));
  });

  after(async () => {
    channel?.close();
    await machine?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  it('matches the guide: the agent listened, on its own console', () => {
    assert.match(readFileSync(join(image.work, 'console'), 'utf8'), listening);
    assert.match(image.output, /configuration is valid/);
    // Parsed as by ParseKernelVerityParams of Kata's Go runtime and parse_kernel_verity_params of runtime-rs.
    const values =
      'root_hash=[0-9a-f]{64},salt=[0-9a-f]{64},data_blocks=\\d+,data_block_size=4096,hash_block_size=4096';
    assert.match(image.output, new RegExp(`^kernel_verity_params = "${values}"$`, 'm'));
    assert.match(image.output, /systemd-analyze verify kata-agent.service kata-containers.target: \n/);
    const [, expected = ''] = /^configuration\n\s+digest\s+sha256:(\S+)/m.exec(image.output) ?? [];
    assert.ok(image.output.includes(`digest: ${expected}`), 'the predicted digest is that of the image');
  });

  it('has an active unit, from the moment when the agent listens', async () => {
    assert.equal(
      await shell(machine, 'systemctl is-active kata-agent kata-containers.target'),
      'active\nactive\n',
    );
    const started = await machine.line(/Started .*kata-agent\.service/);
    const before = machine.lines.findIndex((line) => listening.test(line));
    assert.ok(before < machine.lines.indexOf(started), 'listening, then started');
    assert.match(machine.lines.slice(0, before).join('\n'), /Starting .*kata-agent\.service/);
  });

  it('starts the agent with fixed arguments and an empty environment, with any kernel command line (S23)', async () => {
    const pid = (await shell(machine, agentPid)).trim();
    assert.equal(await shell(machine, `cat /proc/${pid}/environ`), '');
    const argv = (await shell(machine, `tr "\\0" "\\n" < /proc/${pid}/cmdline`)).trim().split('\n');
    assert.deepEqual(argv, ['/usr/bin/node', ...agentNodeOptions, '/usr/lib/kata-agent/kata-agent.cjs']);
    assert.match(await shell(machine, 'systemctl show-environment'), /NODE_OPTIONS=--require=\/nowhere\.js/);
  });

  it('ignores the agent’s words on the kernel command line under a lock, and records them', async () => {
    const [first = ''] = (await shell(machine, 'head -n 1 /run/kata-agent/audit.log')).split('\n');
    const ignored = JSON.stringify(JSON.parse(first).ignoredOverrides ?? JSON.parse(first));
    for (const word of ['agent.log', 'agent.debug_console', 'agent.cdh_api_timeout'])
      assert.ok(ignored.includes(word), `${word} in ${ignored}`);
    assert.doesNotMatch(machine.lines.join('\n'), /"level":"TRCE"/);
  });

  it('accepts no unit from the host with the word of the guide on the kernel command line', async () => {
    assert.match(await shell(machine, 'systemctl cat proof.service 2>&1; true'), /No files found/);
  });

  it('runs a container beside systemd’s units, and reaps its orphans', async () => {
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const args = ['sh', '-c', '(sleep 1 &); echo $$; read line; exit 7'];
    await runContainer('one', args, 'kubepods-besteffort.slice:cri:one');
    assert.equal(await readUntil(agent, 'one', '\n'), '1\n');
    const cgroup = '/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/cri-one.scope';
    const pid = (await shell(machine, `sort -n ${cgroup}/cgroup.procs | head -n 1`)).trim();
    assert.equal(
      await shell(machine, `grep PPid /proc/${pid}/status | cut -f 2`),
      await shell(machine, agentPid),
    );
    await shell(machine, 'systemctl daemon-reload');
    assert.equal((await shell(machine, `cat ${cgroup}/memory.max`)).trim(), String(64 << 20));

    await agent.writeStdin({ containerId: 'one', execId: 'one', data: Buffer.from('\n') });
    await readAll(agent, 'stdout', 'one');
    assert.equal((await agent.waitProcess({ containerId: 'one', execId: 'one' })).status, 7);
    await agent.removeContainer({ containerId: 'one' });
    const states = await shell(machine, 'cat /proc/[0-9]*/status 2>/dev/null | grep ^State');
    assert.doesNotMatch(states, /Z \(zombie\)/);
  });

  it('stops in order with the unit, and starts again', async () => {
    await runContainer('two', ['sleep', '1000']);
    await shell(machine, 'systemctl stop kata-agent');
    const property = 'systemctl show --property=ActiveState,Result kata-agent';
    assert.equal(await shell(machine, property), 'Result=success\nActiveState=inactive\n');
    assert.equal(await shell(machine, 'cat /proc/[0-9]*/comm | grep -c sleep; true'), '0\n');
    assert.equal(await shell(machine, 'grep -c kata-containers/two /proc/mounts; true'), '0\n');
    channel.close();
    await shell(machine, 'systemctl start kata-agent kata-containers.target');
    ({ agent, channel } = await agentIn(machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  it('is powered off by the agent when the sandbox ends', async () => {
    await agent.destroySandbox({});
    assert.equal(await poweredOff(machine), 0);
    const output = machine.lines.join('\n');
    assert.match(output, /kata-agent: the sandbox has ended; the machine is powered off/);
    assert.match(output, /reboot: Power down/);
  });

  it('is powered off by systemd when the agent dies, although a container runs', async () => {
    const args = unitFromHost('proof.service', '[Service]\nExecStart=/usr/bin/true\n');
    machine = await start({ args });
    await serves(machine);
    ({ agent, channel } = await agentIn(machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await runContainer('three', ['sleep', '1000']);
    // As the guide warns: without that word on the kernel command line the host can add a unit.
    assert.match(await shell(machine, 'systemctl cat proof.service'), /ExecStart=\/usr\/bin\/true/);
    machine
      .connect(1001)
      .on('error', () => undefined)
      .end(`kill -KILL $(${agentPid})\n`);
    assert.equal(await poweredOff(machine), 0);
    assert.match(machine.lines.join('\n'), /reboot: Power down/);
  });

  it('is powered off if the configuration is invalid, and prints the errors', async () => {
    machine = await start({ config: '[api]\nallowed_endpoints = ["ExecProces"]\n' });
    assert.equal(await poweredOff(machine), 0);
    const output = machine.lines.join('\n');
    assert.match(
      output,
      /config\.toml:2:22: error\[KA1201\]: unknown endpoint "ExecProces" in allowed_endpoints/,
    );
    assert.match(output, /reboot: Power down/);
  });

  it('has the agent as init by the kernel command line, or by the link /sbin/init', async () => {
    machine = await start({ append: ['init=/usr/bin/kata-agent', 'NODE_OPTIONS=--require=/nowhere.js'] });
    await machine.line(listening);
    await machine.kill();
  });

  it('runs a container as an initrd with systemd, from a root of its own', async () => {
    count += 1;
    const options = { config: locked, disks: [containerDisk()], movesRoot: true };
    machine = await bootAsInitrd(image, join(directory, String(count)), options);
    await serves(machine);
    ({ agent, channel } = await agentIn(machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await runContainer('four', ['echo', 'from an initrd']);
    assert.equal(String(await readAll(agent, 'stdout', 'four')), 'from an initrd\n');
    await agent.destroySandbox({});
    assert.equal(await poweredOff(machine), 0);
  });

  it('runs none as an initrd with systemd whose root is the initramfs', async () => {
    count += 1;
    const options = { config: locked, disks: [containerDisk()], movesRoot: false };
    machine = await bootAsInitrd(image, join(directory, String(count)), options);
    await serves(machine);
    ({ agent, channel } = await agentIn(machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await assert.rejects(runContainer('five', ['true']), /pivot_root/);
    await machine.kill();
  });

  it('does not boot from a disk with another root hash', async () => {
    const hash = / sha256 ([0-9a-f]{64}) /.exec(image.line)?.[1] ?? '';
    const other = {
      ...image,
      line: image.line.replace(
        hash,
        hash.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      ),
    };
    machine = await bootExisting(other, join(directory, 'hash'), { config: locked });
    await poweredOff(machine);
    assert.doesNotMatch(machine.lines.join('\n'), listening);
    assert.match(machine.lines.join('\n'), /Kernel panic/);
  });
});
