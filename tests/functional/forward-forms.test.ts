import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { create, type DescMethod, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import {
  AgentService,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateSandboxRequestSchema,
  DeviceSchema,
  ExecProcessRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import {
  HookSchema,
  LinuxDeviceCgroupSchema,
  LinuxDeviceSchema,
  LinuxSyscallSchema,
  MountSchema,
} from '@kata-agent/protocol/oci';
import { type Channel, Code, TtrpcError } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { forwardedContainer, forwardedRequest, kata, shared } from '../harness/forwarded-requests.js';
import { callInner, InnerAgentProcess } from '../harness/inner-agent.js';
import { waitUntil } from '../harness/retry.js';
import { build } from '../interop/artifacts.js';

const built = build('inner-agent', 'kata.binpb');
const { createContainer, createSandbox, copyFile, execProcess, updateContainer } = AgentService.method;

type Change = (request: CreateContainerRequest) => void;

const root =
  (Path: string): Change =>
  ({ OCI }) => {
    if (OCI?.Root !== undefined) OCI.Root.Path = Path;
  };
const mount =
  (init: MessageInitShape<typeof MountSchema>): Change =>
  ({ OCI }) =>
    void OCI?.Mounts.push(
      create(MountSchema, { destination: '/data', type: 'bind', options: ['rbind'], ...init }),
    );
const storage =
  (init: MessageInitShape<typeof StorageSchema>): Change =>
  ({ storages }) =>
    void storages.push(create(StorageSchema, init));
const node =
  (init: MessageInitShape<typeof LinuxDeviceSchema>): Change =>
  ({ OCI }) =>
    void OCI?.Linux?.Devices.push(create(LinuxDeviceSchema, init));
const device =
  (init: MessageInitShape<typeof DeviceSchema>): Change =>
  ({ devices }) =>
    void devices.push(create(DeviceSchema, init));
const both =
  (...changes: readonly Change[]): Change =>
  (request) => {
    for (const change of changes) change(request);
  };
const score =
  (OOMScoreAdj: bigint): Change =>
  ({ OCI }) => {
    if (OCI?.Process !== undefined) OCI.Process.OOMScoreAdj = OOMScoreAdj;
  };
const cgroup =
  (CgroupsPath: string): Change =>
  ({ OCI }) => {
    if (OCI?.Linux !== undefined) OCI.Linux.CgroupsPath = CgroupsPath;
  };
const cwd =
  (Cwd: string): Change =>
  ({ OCI }) => {
    if (OCI?.Process !== undefined) OCI.Process.Cwd = Cwd;
  };
const disk = {
  driver: 'blk',
  source: '02/01',
  fstype: 'ext4',
  mountPoint: `${kata}/sandbox/storage/MDIvMDE`,
};
const tmpfs = {
  driver: 'ephemeral',
  source: 'tmpfs',
  fstype: 'tmpfs',
  mountPoint: `${kata}/sandbox/ephemeral/a`,
};

/** Each class of the attack on Kata's own agent, first as it was proven, then in other forms. */
const attacks: Readonly<Record<string, readonly (readonly [change: Change, message: RegExp])[]>> = {
  'a root through a link in the root of another container': [
    [root(`${shared}/c0/rootfs/link`), /OCI\.Root\.Path: .* would not be the root/],
    [
      both(({ storages }) => void storages.splice(0), root(`${shared}/c0/rootfs/link`)),
      /is not where Kata's runtimes have the root/,
    ],
    [
      both(({ storages }) => void storages.splice(0), root(`${shared}/c0/rootfs`)),
      /is not where Kata's runtimes have the root/,
    ],
    [
      both(({ storages }) => void storages.splice(0), root(`${kata}/c0/rootfs`)),
      /is not where Kata's runtimes have the root/,
    ],
    [
      both(
        storage({ ...disk, mountPoint: `${shared}/c1` }),
        ({ storages }) => void storages.splice(0, 1),
        root(`${shared}/c1/rootfs`),
      ),
      /is in a file system of the host, where it can be a link/,
    ],
  ],
  'another root than the verified one': [
    [root(`${shared}/c1/rootfs`), /a storage is mounted at \/run\/kata-containers\/c1\/rootfs/],
    [({ storages }) => void storages.splice(0), /no storage is mounted there/],
    [({ storages }) => storages.push(...storages), /is named twice/],
    [
      ({ storages: [image] }) =>
        void (
          image !== undefined &&
          (image.driverOptions = [
            'image_guest_pull={"metadata":{"io.kubernetes.cri.container-type":"sandbox"}}',
          ])
        ),
      /disagree about whether this is the pause container/,
    ],
    [
      ({ storages: [image] }) =>
        void (
          image !== undefined && (image.driverOptions = ['image_guest_pull={"metadata":{"a":"1","a":"2"}}'])
        ),
      /as the runtimes write it/,
    ],
  ],
  'a bind through a link in the root of another container': [
    [mount({ source: `${shared}/c0/rootfs/link` }), /is not a path that Kata's runtimes use for sources/],
    [mount({ source: `${shared}/volume/link` }), /is not a path that Kata's runtimes use for sources/],
    [mount({ source: `${kata}/c0/rootfs/link` }), /is not a path that Kata's runtimes use for sources/],
    [
      mount({ source: `${kata}/sandbox/ephemeral/a/link` }),
      /is not a path that Kata's runtimes use for sources/,
    ],
    [mount({ source: `${shared}/passthrough` }), /is not a path that Kata's runtimes use for sources/],
    [mount({ source: `${shared}/c1` }), /is not a path that Kata's runtimes use for sources/],
    [
      mount({ type: 'local', source: `${shared}/c0/rootfs/local/link` }),
      /is not the mount point of a local storage/,
    ],
  ],
  'an overlay of /': [
    [
      both(
        ({ storages }) => void storages.splice(0),
        storage({
          driver: 'overlayfs',
          source: 'overlay',
          fstype: 'overlay',
          mountPoint: `${kata}/c1/rootfs`,
          options: ['lowerdir=/', `upperdir=${kata}/c1/fs`, `workdir=${kata}/c1/work`],
        }),
      ),
      /an overlay is of layers that this request mounts/,
    ],
    [
      storage({
        driver: 'overlayfs',
        source: 'overlay',
        fstype: 'overlay',
        mountPoint: `${kata}/sandbox/storage/x`,
        options: ['lowerdir=/'],
      }),
      /is not where Kata's runtimes mount driver overlayfs/,
    ],
    [
      both(
        ({ storages }) => void storages.splice(0),
        storage({
          driver: 'overlayfs',
          source: 'none',
          fstype: 'bind',
          mountPoint: `${kata}/c1/rootfs`,
          options: ['bind'],
        }),
      ),
      /source: "none" is not "overlay"/,
    ],
    [
      both(
        ({ storages }) => void storages.splice(0),
        storage({
          driver: 'erofs.multi-layer',
          source: '/',
          fstype: 'bind',
          mountPoint: `${kata}/c1/rootfs`,
          options: ['rbind'],
        }),
      ),
      /"erofs.multi-layer" is not forwarded/,
    ],
  ],
  'a block device by number': [
    [
      both(
        device({
          id: 'vfio0',
          type: 'vfio-pci-gk',
          containerPath: '/dev/disk',
          options: ['0000:00:01.0=02/01'],
        }),
        node({ Path: '/dev/disk', Type: 'b', Major: 254n }),
      ),
      /has no node/,
    ],
    [node({ Path: '/dev/disk', Type: 'b', Major: 254n }), /devices/],
    [
      both(
        device({ id: '02/01', type: 'blk', containerPath: '/dev/disk' }),
        node({ Path: '/dev/disk', Type: 'c', Major: 10n, Minor: 229n }),
      ),
      /devices \(\/dev\/disk\)/,
    ],
    [
      both(
        device({ id: '02/01', type: 'blk', containerPath: '/dev/disk' }),
        node({ Path: '/dev/disk', Type: 'b', Major: 8n }),
        node({ Path: '/dev/disk', Type: 'b', Major: 254n }),
      ),
      /"\/dev\/disk" is named twice/,
    ],
    [
      both(
        device({
          id: 'vfio0',
          type: 'vfio-pci-gk',
          containerPath: '/dev/vfio/1',
          options: ['0000:00:01.0=02/01'],
        }),
        ({ OCI }) =>
          void (
            OCI?.Linux !== undefined &&
            (OCI.Linux.Resources = create(updateContainer.input, {
              resources: { Devices: [{ Allow: true, Type: 'b', Major: 254n, Access: 'rw' }] },
            }).resources as never)
          ),
      ),
      /devices|b 254:0/,
    ],
  ],
  'the mode of a directory by a local storage': [
    [
      storage({
        driver: 'local',
        source: 'local',
        fstype: 'local',
        mountPoint: '/run/kata-agent-inner',
        options: ['mode=0777'],
      }),
      /is not where Kata's runtimes mount driver local/,
    ],
    [
      storage({
        driver: 'local',
        source: 'local',
        fstype: 'local',
        mountPoint: `${shared}/sandbox-1/rootfs/local/../../../../../../kata-agent-inner`,
        options: ['mode=0777'],
      }),
      /is not a clean absolute path/,
    ],
    [
      storage({
        driver: 'local',
        source: 'local',
        fstype: 'local',
        mountPoint: `${shared}/sandbox-1/rootfs/local`,
        options: ['mode=0777'],
      }),
      /is not where Kata's runtimes mount driver local/,
    ],
    [
      storage({
        driver: 'local',
        source: 'local',
        fstype: 'local',
        mountPoint: `${shared}/sandbox-1/rootfs/local/a`,
        options: ['mode=4777'],
      }),
      /"mode=4777" is not an option/,
    ],
    [
      both(
        ({ storages }) => void storages.splice(0),
        root(`${shared}/c1/rootfs`),
        storage({
          driver: 'local',
          source: 'local',
          fstype: 'local',
          mountPoint: `${shared}/c1/rootfs/local/a`,
          options: ['mode=0777'],
        }),
      ),
      /is in the root of a container or in a volume/,
    ],
  ],
  'an option that is data to Kata': [
    [
      mount({ source: `${shared}/volume`, options: ['rbind', 'rro'] }),
      /"rro" is not an option of a mount of type bind/,
    ],
    [
      mount({ source: `${shared}/volume`, options: ['rbind', 'nosymfollow'] }),
      /"nosymfollow" is not an option/,
    ],
    [mount({ source: `${shared}/volume`, options: ['rbind', 'ro,rw'] }), /"ro,rw" is not an option/],
    [mount({ source: `${shared}/volume`, options: ['rbind', 'remount'] }), /"remount" is not an option/],
    [
      both(storage({ ...disk, options: ['private'] }), mount({ source: disk.mountPoint })),
      /"private" is not an option that both agents read alike/,
    ],
    [
      both(storage({ ...disk, options: ['bind'] }), mount({ source: disk.mountPoint })),
      /"bind" is not an option that both agents read alike/,
    ],
  ],
  'a device by path with another number': [
    [
      node({ Path: '/dev/full', Type: 'c', Major: 1n, Minor: 1n }),
      /guest's own memory|devices \(\/dev\/full\)/,
    ],
    [node({ Path: '/dev/null', Type: 'c', Major: 10n, Minor: 224n }), /devices|attestation/],
    [node({ Path: '/dev/zero', Type: 'c', Major: 2n ** 32n + 1n, Minor: 5n }), /devices|not from 0 to 4095/],
  ],
  'a number that is another one as an i32': [
    [score(2n ** 32n - 999n), /OOMScoreAdj: 4294966297 is not from -1000 to 1000/],
    [score(2n ** 31n), /OOMScoreAdj: .* is not from -1000 to 1000/],
    [score(1001n), /OOMScoreAdj: 1001 is not from -1000 to 1000/],
    [
      ({ OCI }) => void (OCI?.Process?.User !== undefined && (OCI.Process.User.UID = 2 ** 32 - 1)),
      /means "unchanged" to the kernel/,
    ],
  ],
  'paths that are another one for the kernel': [
    [mount({ source: `${shared}/volume/../c0/rootfs` }), /is not a clean absolute path/],
    [mount({ source: `${shared}//volume` }), /is not a clean absolute path/],
    [
      mount({ source: `${shared}/volume`, destination: '/data/../dev' }),
      /is not a clean absolute path|no tmpfs at \/dev/,
    ],
    [root(`${kata}/c1/./rootfs`), /is not a clean absolute path/],
    [cwd('/a/../proc/self/fd'), /is not an absolute path without \.\./],
  ],
  'an ephemeral storage of another type': [
    [storage({ ...tmpfs, source: 'configfs', fstype: 'configfs' }), /"configfs" is not "tmpfs"/],
    [storage({ ...tmpfs, fstype: 'debugfs' }), /"debugfs" of driver ephemeral is not "tmpfs"/],
    [storage({ ...tmpfs, fstype: 'bind', source: '/', options: ['bind'] }), /source: "\/" is not "tmpfs"/],
    [
      storage({ ...tmpfs, fstype: 'hugetlbfs', source: 'nodev', options: ['pagesize=2097152,size=0x10'] }),
      /is not an option that both agents read alike/,
    ],
  ],
  'a foreign mount point': [
    [storage({ ...tmpfs, mountPoint: '/etc' }), /is not where Kata's runtimes mount driver ephemeral/],
    [
      storage({ ...disk, mountPoint: `${shared}/c0/rootfs` }),
      /is not where Kata's runtimes mount driver blk/,
    ],
    [
      storage({ ...disk, mountPoint: `${kata}/sandbox/shm` }),
      /is not where Kata's runtimes mount driver blk/,
    ],
    [storage({ ...tmpfs, mountPoint: `${kata}/sandbox/shm` }), /only the sandbox has shared memory/],
  ],
  'a disk of the guest': [
    [
      both(storage({ ...disk, source: '/dev/vda' }), mount({ source: disk.mountPoint })),
      /is not the address of a disk for blk/,
    ],
    [
      both(storage({ ...disk, driver: 'mmioblk', source: '/dev/vda' }), mount({ source: disk.mountPoint })),
      /can be a disk of the guest itself/,
    ],
    [
      both(storage({ ...disk, driver: 'nvdimm', source: '/dev/pmem0' }), mount({ source: disk.mountPoint })),
      /is not the address of a disk for nvdimm/,
    ],
    [
      both(storage({ ...disk, fsGroup: { groupId: 7 } }), mount({ source: disk.mountPoint })),
      /changes the owner of directories that links of the disk name/,
    ],
  ],
  'a part that Kata drops or reads as another one': [
    [
      ({ OCI }) =>
        void (
          OCI !== undefined &&
          (OCI.Hooks = {
            ...create(createContainer.input, { OCI: { Hooks: {} } }).OCI?.Hooks,
            Poststop: [create(HookSchema, { Path: '/x' })],
          } as never)
        ),
      /hooks would run in the guest/,
    ],
    [
      ({ OCI }) =>
        void (
          OCI !== undefined &&
          (OCI.Windows = create(createContainer.input, { OCI: { Windows: { dummy: 'a' } } }).OCI
            ?.Windows as never)
        ),
      /a section for another system/,
    ],
    [(request) => void (request.execId = 'other'), /exec_id: "other" is not the id of the container/],
    [
      ({ OCI }) =>
        void (
          OCI?.Linux !== undefined &&
          (OCI.Linux.Seccomp = create(createContainer.input, {
            OCI: {
              Linux: {
                Seccomp: {
                  DefaultAction: 'SCMP_ACT_ALLOW',
                  Syscalls: [create(LinuxSyscallSchema, { Names: ['setuid'], Action: 'SCMP_ACT_ERRNO' })],
                },
              },
            },
          }).OCI?.Linux?.Seccomp as never)
        ),
      /fails with error \(none\)/,
    ],
    [
      ({ OCI }) => void OCI?.Process?.Env.push('VISIBLE_CDI_DEVICES=nvidia.com/gpu=all'),
      /gives the container devices that no rule sees/,
    ],
  ],
  'a cgroup of the guest': [
    [cgroup('/system.slice/kata-agent-inner.service'), /is a cgroup of the guest's own programs/],
    [cgroup('/init.scope'), /is a cgroup of the guest's own programs/],
    [cgroup('/kubepods/../system.slice'), /does not name a cgroup below the root/],
    [cgroup('/'), /does not name a cgroup below the root/],
    [cgroup('system.slice:kata:agent.service'), /is not slice:prefix:name of a scope/],
  ],
  'an id of a directory of the inner agent': [
    [
      (request) => void (request.containerId = request.execId = 'shared'),
      /is a directory of the inner agent/,
    ],
    [(request) => void (request.containerId = request.execId = '..'), /is not an id/],
    [(request) => void (request.containerId = request.execId = 'c1/../c0'), /is not an id/],
  ],
};

suite('what forward mode sends on', { skip: built.ok ? false : built.missing, timeout: 120_000 }, () => {
  let inner: InnerAgentProcess;
  let agent: AgentProcess;
  let channel: Channel;

  async function started(more = ''): Promise<void> {
    const config = `[agent]\nforward = "${inner.address}"\n${more}[api]\nallowed_endpoints = ["*"]\n`;
    agent = await AgentProcess.start({ config });
    ({ channel } = await agent.connect());
  }

  before(async () => {
    inner = new InnerAgentProcess(built);
    await inner.start();
    await started();
  });
  after(async () => {
    await agent.dispose();
    await inner.dispose();
  });

  /** The calls that the inner agent had: its lines come later than its replies, and in order, so that a last call ends them. */
  async function innerCalls(): Promise<readonly string[]> {
    const { getGuestDetails: last } = AgentService.method;
    const isLast = (call: string): boolean => call.endsWith(last.name);
    const before = inner.calls.filter(isLast).length;
    await callInner(channel, last, create(last.input));
    await waitUntil('the inner agent has the last call', () => inner.calls.filter(isLast).length > before);
    return inner.calls.filter((call) => !isLast(call));
  }

  async function refused(method: DescMethod, request: Message, message: RegExp): Promise<void> {
    const calls = await innerCalls();
    await assert.rejects(callInner(channel, method, request), (error) => {
      assert.ok(error instanceof TtrpcError);
      assert.match(error.message, message);
      assert.ok(error.code === Code.InvalidArgument || error.code === Code.PermissionDenied, error.message);
      return true;
    });
    assert.deepEqual(await innerCalls(), calls, 'nothing reaches the inner agent');
  }

  for (const [attack, changes] of Object.entries(attacks)) {
    test(`${attack} is refused by name, in ${changes.length} forms`, async () => {
      assert.ok(changes.length > 2);
      for (const [change, message] of changes)
        await refused(createContainer, forwardedContainer('c1', change), message);
    });
  }

  test('the request without a fault is forwarded, once', async () => {
    await callInner(channel, createContainer, forwardedContainer('c1'));
    await refused(createContainer, forwardedContainer('c1'), /container "c1" exists/);
    const { removeContainer } = AgentService.method;
    await callInner(channel, removeContainer, create(removeContainer.input, { containerId: 'c1' }));
    await callInner(channel, createContainer, forwardedContainer('c1'));
  });

  test('a mount point, a disk and a name have one meaning over all calls', async () => {
    const volume = both(storage(disk), mount({ source: disk.mountPoint }));
    await callInner(channel, createContainer, forwardedContainer('v1', volume));
    const other = both(storage({ ...disk, source: '02/02' }), mount({ source: disk.mountPoint }));
    await refused(createContainer, forwardedContainer('v2', other), /is the mount point of another storage/);
    const readOnly = both(storage({ ...disk, options: ['ro'] }), mount({ source: disk.mountPoint }));
    await refused(
      createContainer,
      forwardedContainer('v2', readOnly),
      /is the mount point of another storage/,
    );
    const twice = both(
      storage({ ...disk, mountPoint: `${kata}/sandbox/storage/b` }),
      mount({ source: `${kata}/sandbox/storage/b` }),
    );
    await refused(createContainer, forwardedContainer('v2', twice), /is mounted at .* already/);
    await callInner(channel, createContainer, forwardedContainer('v2', volume));
    await refused(
      createContainer,
      forwardedContainer('v3', cgroup('/kubepods/v2')),
      /container "v2" has this cgroup/,
    );
    const again = both(storage(tmpfs), storage({ ...tmpfs, options: ['fsgid=7'] }));
    await refused(createContainer, forwardedContainer('v3', again), /is named twice/);
    const file = `${shared}/v1-0123456789abcdef-hosts`;
    await refused(createContainer, forwardedContainer(file.slice(shared.length + 1)), /is a volume/);
    await refused(
      copyFile,
      create(CopyFileRequestSchema, { path: `${shared}/v1/rootfs/x`, fileMode: 0o100644 }),
      /is the directory of a container/,
    );
    const unknown = mount({ source: `${kata}/sandbox/ephemeral/none` });
    await refused(createContainer, forwardedContainer('v3', unknown), /is not the mount point of a storage/);
  });

  test('a local volume is mounted by requests that have its storage, and by no other', async () => {
    const place = `${shared}/sandbox-1/rootfs/local/handover`;
    const local = { driver: 'local', source: 'local', fstype: 'local', mountPoint: place };
    const mounted = mount({ type: 'local', source: place, options: ['rbind'] });
    const whole = both(storage({ ...local, options: ['mode=0777'] }), mounted);
    await callInner(channel, createContainer, forwardedContainer('l1', whole));
    await callInner(channel, createContainer, forwardedContainer('l2', whole));
    await refused(
      createContainer,
      forwardedContainer('l3', mounted),
      /is not the mount point of a local storage of this request/,
    );
  });

  test('the mount points of a removed container stay known, and its id is free', async () => {
    const volume = { ...disk, source: '03/01', mountPoint: `${kata}/sandbox/storage/MDMvMDE` };
    const request = forwardedContainer('f1', both(storage(volume), mount({ source: volume.mountPoint })));
    const { removeContainer } = AgentService.method;
    await callInner(channel, createContainer, request);
    await callInner(channel, removeContainer, create(removeContainer.input, { containerId: 'f1' }));
    const other = both(storage({ ...volume, source: '03/02' }), mount({ source: volume.mountPoint }));
    await refused(createContainer, forwardedContainer('f1', other), /is the mount point of another storage/);
    await callInner(channel, createContainer, request);
  });

  test('an exec has an id of its own', async () => {
    const exec = (execId: string): Message =>
      create(ExecProcessRequestSchema, {
        containerId: 'c1',
        execId,
        process: { Args: ['/bin/true'], Cwd: '/' },
      });
    await refused(execProcess, exec('c1'), /would take the exec for its first process/);
    await refused(execProcess, exec(''), /is not an id/);
    await callInner(channel, execProcess, exec('e1'));
    await refused(execProcess, exec('e1'), /exec "e1" of this container runs/);
    const { waitProcess } = AgentService.method;
    await callInner(channel, waitProcess, create(waitProcess.input, { containerId: 'c1', execId: 'e1' }));
    await callInner(channel, execProcess, exec('e1'));
  });

  test('copied files: a link stays in its volume, and the type is one of three', async () => {
    const copy = (path: string, fileMode: number, data = ''): Message =>
      create(CopyFileRequestSchema, {
        path,
        fileMode,
        data: Buffer.from(data),
        fileSize: BigInt(data.length),
      });
    await callInner(channel, copyFile, copy(`${shared}/vol/..2026/a`, 0o100644, 'x'));
    await callInner(channel, copyFile, copy(`${shared}/vol/a`, 0o120777, '..data/a'));
    const link = 0o120777;
    await refused(copyFile, copy(`${shared}/link`, link, 'vol'), /may leave its volume/);
    await refused(copyFile, copy(`${shared}/vol/b`, link, '/etc'), /may leave its volume/);
    await refused(copyFile, copy(`${shared}/vol/b`, link, '../c1'), /may leave its volume/);
    await refused(copyFile, copy(`${shared}/vol/b`, 0o140644), /is not that of a file, directory or link/);
    await refused(copyFile, copy(`${shared}/vol/b`, 0o060644), /is not that of a file, directory or link/);
    await refused(copyFile, copy(`${kata}/c1/rootfs/bin/sh`, 0o100755), /is not a volume/);
    await refused(copyFile, copy(`${shared}/../x`, 0o100644), /is not a clean absolute path/);
  });

  test('device rules that Kata reads otherwise are not sent', async () => {
    const rule = (init: MessageInitShape<typeof LinuxDeviceCgroupSchema>): Message =>
      create(updateContainer.input, { containerId: 'c1', resources: { Devices: [init] } });
    await refused(
      updateContainer,
      rule({ Allow: false, Type: 'c', Major: 1n, Minor: -1n, Access: 'rwm' }),
      /would deny none/,
    );
    await refused(
      updateContainer,
      rule({ Allow: true, Type: 'x', Major: 1n, Minor: 3n, Access: 'r' }),
      /devices|is not a, b or c/,
    );
    await refused(
      updateContainer,
      rule({ Allow: true, Type: 'c', Major: 2n ** 40n, Minor: 3n, Access: 'r' }),
      /devices|not from -1/,
    );
    await callInner(
      channel,
      updateContainer,
      rule({ Allow: false, Type: 'a', Major: -1n, Minor: -1n, Access: 'rwm' }),
    );
  });

  test('the sandbox is created once, with the storages of the runtimes alone', async () => {
    const sandbox = (init: MessageInitShape<typeof CreateSandboxRequestSchema>): Message =>
      create(CreateSandboxRequestSchema, init);
    const share = { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: `${shared}/` };
    await refused(
      createSandbox,
      sandbox({ storages: [share] }),
      /follows symbolic links in a share of the host; help: add "rw:/,
    );
    await refused(
      createSandbox,
      sandbox({ storages: [{ ...share, options: ['bind'] }] }),
      /follows symbolic links/,
    );
    await refused(createSandbox, sandbox({ guestHookPath: '/hooks' }), /hooks would run in the guest/);
    await refused(createSandbox, sandbox({ kernelModules: [{ name: 'x' }] }), /would be loaded in the guest/);
    await refused(createSandbox, sandbox({ dns: ['nameserver 10.0.0.1\noptions x'] }), /is not one line/);
    await callInner(channel, createSandbox, forwardedRequest('CreateSandbox'));
    await refused(createSandbox, forwardedRequest('CreateSandbox'), /the sandbox exists/);
  });

  test('SetIPTables is not served, and says so', async () => {
    const { setIPTables } = AgentService.method;
    await assert.rejects(
      callInner(channel, setIPTables, create(setIPTables.input, { data: Buffer.from('*filter') })),
      {
        code: Code.Unimplemented,
        message: /SetIPTables is not forwarded: the text would go to iptables-restore as it is/,
      },
    );
  });

  test('what was refused is recorded, with the field', async () => {
    const [record] = agent
      .records()
      .filter(({ method }) => method === 'CreateContainer')
      .filter((each) => JSON.stringify(each).includes('OCI.Root.Path'));
    assert.match(JSON.stringify(record), /is not forwarded: OCI\.Root\.Path/);
  });

  test('where the configuration trusts the host with the files of the guest, its share is forwarded', async () => {
    await agent.dispose();
    await started(`guest_paths = ["rw:${shared}"]\n`);
    const share = { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: `${shared}/` };
    await callInner(channel, createSandbox, create(CreateSandboxRequestSchema, { storages: [share] }));
    const watched = {
      driver: 'watchable-bind',
      source: `${shared}/w1-0123456789abcdef-config`,
      fstype: 'bind',
      mountPoint: `${shared}/watchable/w1-0123456789abcdef-config`,
      options: ['rbind', 'rprivate', 'ro'],
    };
    const onShare = both(
      ({ storages }) => void storages.splice(0),
      root(`${shared}/w1/rootfs`),
      storage(watched),
      mount({ source: watched.mountPoint, options: ['rbind', 'ro'] }),
    );
    await callInner(channel, createContainer, forwardedContainer('w1', onShare));
    await refused(
      createContainer,
      forwardedContainer(
        'w2',
        both(({ storages }) => void storages.splice(0), root(`${shared}/w1/rootfs`)),
      ),
      /is not where Kata's runtimes have the root/,
    );
  });
});
