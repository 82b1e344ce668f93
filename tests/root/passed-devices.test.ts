import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  DeviceSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

// The requests are those that Kata 4.1 makes for PCI devices that the host passes through: virtcontainers/kata_agent.go
// (appendVfioDevice, constrainGRPCSpec), container.go (createCDIAnnotation), src/agent/src/device/mod.rs (test_update_env_pci).
// sysfs and /dev are made up: devices/pci0000:00 has three bridges with a GPU and two network cards.

const gpu = 'pci0000:00/0000:00:02.0/0000:01:00.0';
const card = 'pci0000:00/0000:00:03.0/0000:02:00.0';
const otherCard = 'pci0000:00/0000:00:04.0/0000:03:00.0';

const attributes: Readonly<Record<string, string>> = {
  'pci0000:00/0000:00:02.0/class': '0x060400\n',
  'pci0000:00/0000:00:02.0/pci_bus/0000:01/x': '',
  [`${gpu}/class`]: '0x030200\n',
  [`${gpu}/vendor`]: '0x10de\n',
  'pci0000:00/0000:00:03.0/class': '0x060400\n',
  'pci0000:00/0000:00:03.0/pci_bus/0000:02/x': '',
  [`${card}/class`]: '0x020000\n',
  [`${card}/vendor`]: '0x15b3\n',
  [`${card}/driver_override`]: '(null)\n',
  [`${card}/infiniband_verbs/uverbs0/dev`]: '231:192\n',
  'pci0000:00/0000:00:04.0/class': '0x060400\n',
  'pci0000:00/0000:00:04.0/pci_bus/0000:03/x': '',
  [`${otherCard}/class`]: '0x020000\n',
  [`${otherCard}/infiniband_verbs/uverbs1/dev`]: '231:193\n',
  'pci0000:00/0000:00:05.0/class': '0x010000\n',
  'pci0000:00/0000:00:05.0/vendor': '0x1af4\n',
};

const config =
  '[agent]\nhotplug_timeout = 1\ncdi_timeout = 1\ndevices = ["nvidia.com/gpu=0"]\n[api]\nallowed_endpoints = ["*"]\n';

describe('PCI devices that the host passes through', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let machine = '';
  let number = 0;
  let process_: AgentProcess;
  let agent: AgentConnection['agent'];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-passed-'));
    chmodSync(directory, 0o755);
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  beforeEach(async () => {
    machine = mkdtempSync(join(directory, 'machine-'));
    makeMachine();
    process_ = await AgentProcess.start({
      config,
      setup: [
        `mkdir /run/cdi && mount --bind ${machine}/cdi /run/cdi`,
        `for each in devices bus dev/char; do mount --bind ${machine}/sys/$each /sys/$each; done`,
        `mount --bind /dev/pts ${machine}/dev/pts && mount --rbind ${machine}/dev /dev`,
      ].join(' && '),
    });
    ({ agent } = await process_.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });
  afterEach(async () => {
    // A failed test must not block the others.
    const killTimer = setTimeout(() => process_.process.kill('SIGKILL'), 20_000);
    await process_.dispose();
    clearTimeout(killTimer);
    rmSync(machine, { recursive: true });
  });

  function put(path: string, text = ''): void {
    mkdirSync(dirname(join(machine, path)), { recursive: true });
    writeFileSync(join(machine, path), text, { mode: 0o644 });
  }

  function makeMachine(): void {
    chmodSync(machine, 0o755);
    for (const [path, text] of Object.entries(attributes)) put(`sys/devices/${path}`, text);
    for (const path of ['drivers_probe', 'drivers/vfio-pci/unbind', 'devices/x']) put(`sys/bus/pci/${path}`);
    const online = 'sys/devices/system/cpu/online';
    put(online, readFileSync(`/${online}`, 'utf8'));
    mkdirSync(join(machine, 'sys/dev/char'), { recursive: true });
    for (const path of [gpu, card, otherCard])
      symlinkSync(`/sys/devices/${path}`, join(machine, 'sys/bus/pci/devices', path.slice(-12)));
    symlinkSync('/sys/kernel/iommu_groups/3', join(machine, 'sys/devices', card, 'iommu_group'));
    symlinkSync(`/sys/devices/${card}/infiniband_verbs/uverbs0`, join(machine, 'sys/dev/char/231:192'));
    symlinkSync(`/sys/devices/${otherCard}/infiniband_verbs/uverbs1`, join(machine, 'sys/dev/char/231:193'));
    for (const name of ['cdi', 'dev/pts', 'dev/vfio', 'dev/infiniband', 'dev/shm', 'dev/mqueue'])
      mkdirSync(join(machine, name), { recursive: true });
    execFileSync('cp', ['-a', ...usual.map((name) => `/dev/${name}`), join(machine, 'dev')]);
    node('dev/infiniband/uverbs0', 231, 192);
    node('dev/infiniband/uverbs1', 231, 193);
    node('dev/infiniband/rdma_cm', 10, 255);
    // The number of /dev/fuse, which this kernel can open.
    node('dev/vfio/3', 10, 229);
  }

  const usual = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'fuse'];

  function node(path: string, major: number, minor: number): void {
    execFileSync('mknod', ['-m', '600', join(machine, path), 'c', String(major), String(minor)]);
  }

  type Change = (request: CreateContainerRequest) => void;

  function request(script: string, ...changes: readonly Change[]): CreateContainerRequest {
    number += 1;
    const id = `vfio${number}-${process.pid}`;
    const creation = create(
      CreateContainerRequestSchema,
      containerRequest({ id, rootfs, args: ['sh', '-c', script] }),
    );
    for (const change of changes) change(creation);
    return creation;
  }

  const attach =
    (type: string, group: string, ...options: readonly string[]): Change =>
    ({ devices }) =>
      void devices.push(
        create(DeviceSchema, {
          id: `vfio${group}`,
          type,
          containerPath: `/dev/vfio/${group}`,
          options: [...options],
        }),
      );
  const env =
    (...entries: readonly string[]): Change =>
    ({ OCI }) =>
      void OCI?.Process?.Env.push(...entries);
  const nodeInSpec =
    (path: string): Change =>
    ({ OCI }) =>
      void OCI?.Linux?.Devices.push(
        create(LinuxDeviceSchema, { Path: path, Type: 'c', Major: 243n, Minor: 7n, FileMode: 0o600 }),
      );
  const annotate: Change = ({ OCI }) => {
    if (OCI) OCI.Annotations['cdi.k8s.io/vfio17'] = 'nvidia.com/gpu=0';
  };

  async function outputOf(creation: CreateContainerRequest): Promise<string> {
    const { containerId } = creation;
    await agent.createContainer(creation);
    await agent.startContainer({ containerId });
    const text =
      String(await readAll(agent, 'stdout', containerId)) +
      String(await readAll(agent, 'stderr', containerId));
    await agent.waitProcess({ containerId, execId: '' });
    await agent.removeContainer({ containerId });
    return text;
  }

  it('a GPU pod: the GPU is waited for by its path, then its CDI specification, which is injected', {
    timeout: 60_000,
  }, async () => {
    rmSync(join(machine, 'sys/devices', gpu), { recursive: true });
    const output = outputOf(
      request(
        'echo $GPU; : < /dev/nvidia0 && echo opened; [ -e /dev/vfio ] || echo no vfio',
        annotate,
        attach('vfio-pci-gk', '17', '0000:81:00.0=02/00'),
      ),
    );
    while (!process_.log.some((line) => line.includes('waiting for a PCI device at path 02/00')))
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    put(`sys/devices/${gpu}/class`, '0x030200\n');
    put(
      'cdi/nvidia.yaml',
      'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: "0"\n  containerEdits:\n' +
        '    deviceNodes:\n    - {path: /dev/nvidia0, hostPath: /dev/fuse}\ncontainerEdits:\n  env: [GPU=yes]\n',
    );
    assert.equal(await output, 'yes\nopened\nno vfio\n');
  });

  it('a GPU pod without a specification is refused by the name of the device, and so is a GPU that never appears', async () => {
    const absent = await answerOf(
      agent.createContainer(request('true', annotate, attach('vfio-pci-gk', '17', '0000:81:00.0=02/00'))),
    );
    assert.equal(absent.code, 'NOT_FOUND');
    assert.match(absent.message, /"nvidia\.com\/gpu=0"/);
    const never = await answerOf(
      agent.createContainer(request('true', attach('vfio-pci-gk', '17', '0000:81:00.0=02/01'))),
    );
    assert.equal(never.code, 'NOT_FOUND');
    assert.match(never.message, /a PCI device at path 02\/01 did not appear/);
  });

  it('an SR-IOV pod with a driver of the guest: variables, of execs too, and its own InfiniBand nodes', async () => {
    const info = (address: string): string => `{"${address}":{"generic":{"deviceID":"${address}"}}}`;
    const variables = [
      'PCIDEVICE_INTEL_COM_SRIOV=0000:1a:01.0',
      `PCIDEVICE_INTEL_COM_SRIOV_INFO=${info('0000:1a:01.0')}`,
      'PCIDEVICE_OTHER=0000:1a:01.7',
    ];
    const inGuest = `0000:02:00.0 ${info('0000:02:00.0')} 0000:1a:01.7\n`;
    const print = 'echo $PCIDEVICE_INTEL_COM_SRIOV $PCIDEVICE_INTEL_COM_SRIOV_INFO $PCIDEVICE_OTHER';
    const creation = request(
      `${print}; for n in uverbs0 rdma_cm uverbs1; do [ -c /dev/infiniband/$n ] && echo $n; done; ` +
        'cat /dev/infiniband/uverbs0; sleep 600',
      env(...variables),
      attach('vfio-pci-gk', '41', '0000:1a:01.0=03/00'),
    );
    const { containerId } = creation;
    await agent.createContainer(creation);
    await agent.startContainer({ containerId });
    const text = await readUntil(agent, containerId, 'rdma_cm\n');
    assert.equal(text, `${inGuest}uverbs0\nrdma_cm\n`);
    // No such device in this kernel, but its cgroup allows it to be opened.
    const { data } = await agent.readStderr({ containerId, execId: '', len: 4096 });
    assert.match(Buffer.from(data).toString(), /uverbs0': No such device or address/);
    const process = processRequest(['sh', '-c', print], { env: variables });
    await agent.execProcess({ containerId, execId: 'e', process });
    assert.equal(String(await readAll(agent, 'stdout', containerId, 'e')), inGuest);
    await agent.removeContainer({ containerId });
    // A container without such a device gets none of its nodes.
    assert.equal(await outputOf(request('[ -e /dev/infiniband ] || echo none')), 'none\n');
  });

  it('a DPDK pod: the card is given to vfio-pci, and its group has the guest’s name and number', async () => {
    const creation = request(
      ': < /dev/vfio/3 && echo opened; [ -e /dev/vfio/41 ] || echo renamed; echo $PCIDEVICE_X',
      nodeInSpec('/dev/vfio/41'),
      env('PCIDEVICE_X=0000:1a:01.0'),
      attach('vfio-pci', '41', '0000:1a:01.0=03/00'),
    );
    assert.equal(await outputOf(creation), 'opened\nrenamed\n0000:02:00.0\n');
    assert.equal(readFileSync(join(machine, 'sys/bus/pci/drivers_probe'), 'utf8'), '0000:02:00.0');
    // Removed: any driver may have it again.
    assert.equal(readFileSync(join(machine, 'sys/devices', card, 'driver_override'), 'utf8'), '\n');
  });

  it('a card that another container has is refused until that container is removed', async () => {
    const vfio = [nodeInSpec('/dev/vfio/41'), attach('vfio-pci', '41', '0000:1a:01.0=03/00')];
    const first = request('sleep 600', ...vfio);
    await agent.createContainer(first);
    assert.equal(readFileSync(join(machine, 'sys/devices', card, 'driver_override'), 'utf8'), 'vfio-pci');
    const second = await answerOf(agent.createContainer(request('true', ...vfio)));
    assert.equal(second.code, 'PERMISSION_DENIED');
    assert.match(second.message, new RegExp(`0000:02:00\\.0 is a device of container ${first.containerId}`));
    await agent.removeContainer({ containerId: first.containerId });
    assert.equal(await outputOf(request('echo free', ...vfio)), 'free\n');
  });

  it('devices that cannot be passed are refused by name, and a refused one changes nothing', async () => {
    const at = (path: string): Change => nodeInSpec(path);
    const refused: readonly (readonly [readonly Change[], string, RegExp])[] = [
      [[attach('vfio-ap', '1', '0a.003f')], 'UNIMPLEMENTED', /vfio-ap .*s390x/],
      [[attach('vfio-ap-cold', '1', '0a.003f')], 'UNIMPLEMENTED', /vfio-ap-cold .*s390x/],
      [[attach('blk-ccw', '1')], 'UNIMPLEMENTED', /blk-ccw .*s390x/],
      [[attach('vfio-mdev', '1', '0000:1a:01.0=03/00')], 'UNIMPLEMENTED', /vfio-mdev .*help: attach/],
      [
        [attach('vfio-pci-gk', '1', '0000:1a:01.0')],
        'INVALID_ARGUMENT',
        /"0000:1a:01\.0".*HOST_ADDRESS=GUEST_PATH/,
      ],
      [
        [attach('vfio-pci-gk', '1', '0000:1a:01.0=02/00', '0000:1a:01.0=03/00')],
        'INVALID_ARGUMENT',
        /0000:1a:01\.0 is both/,
      ],
      [[at('/dev/vfio/1'), attach('vfio-pci', '1')], 'INVALID_ARGUMENT', /has no PCI device with a path/],
      [
        [at('/dev/vfio/1'), attach('vfio-pci', '1', '0000:81:00.0=02/00')],
        'FAILED_PRECONDITION',
        /no IOMMU group/,
      ],
      [[at('/dev/vfio/1'), attach('vfio-pci', '1', '0000:1a:01.0=05')], 'PERMISSION_DENIED', /virtio device/],
      [[at('/dev/vfio/1'), attach('vfio-pci', '1', '0000:1a:01.0=03')], 'PERMISSION_DENIED', /is a bridge/],
      [
        [attach('vfio-pci', '41', '0000:1a:01.0=03/00')],
        'INVALID_ARGUMENT',
        /"\/dev\/vfio\/41", which is not in/,
      ],
      [[at('/dev/vfio/41')], 'PERMISSION_DENIED', /\/dev\/vfio\/41/],
    ];
    for (const [changes, code, message] of refused) {
      const answer = await answerOf(agent.createContainer(request('true', ...changes)));
      assert.equal(answer.code, code, answer.message);
      assert.match(answer.message, message);
    }
    assert.notEqual(readFileSync(join(machine, 'sys/devices', card, 'driver_override'), 'utf8'), 'vfio-pci');
    assert.equal(await outputOf(request('echo fine')), 'fine\n');
  });
});
