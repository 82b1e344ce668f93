import { create, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { enginePath, type MethodName } from '@kata-agent/catalogue';
import { alwaysMasked, alwaysReadOnly, defaultCapabilities } from '@kata-agent/gate';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
} from '@kata-agent/protocol/agent';

/** The directory of Kata's agent, and the one that it shares. */
export const kata = '/run/kata-containers';
export const shared: string = `${kata}/shared/containers`;

type CreateInit = MessageInitShape<typeof CreateContainerRequestSchema>;
type Storages = NonNullable<CreateInit['storages']>;

/** The storage of an image that the guest pulls, as both runtimes send it. */
function pulledImage(id: string): Storages[number] {
  return {
    driver: 'image_guest_pull',
    driverOptions: ['image_guest_pull={"metadata":{}}'],
    source: 'docker.io/library/busybox:1.37',
    fstype: 'overlay',
    mountPoint: `${kata}/${id}/rootfs`,
  };
}

/** Returns the request of a container whose image the guest pulls, which a test changes. */
export function forwardedContainer(
  id = 'c1',
  change: (request: CreateContainerRequest) => void = () => undefined,
): CreateContainerRequest {
  const request = create(CreateContainerRequestSchema, {
    containerId: id,
    execId: id,
    storages: [pulledImage(id)],
    OCI: {
      Version: '1.1.0',
      Process: {
        User: { UID: 1000, GID: 1000, AdditionalGids: [1000] },
        Args: ['/bin/sleep', '60'],
        Env: [`PATH=${enginePath}`],
        Cwd: '/',
        Capabilities: {
          Bounding: [...defaultCapabilities],
          Effective: [...defaultCapabilities],
          Permitted: [...defaultCapabilities],
        },
        Rlimits: [{ Type: 'RLIMIT_NOFILE', Hard: 1024n, Soft: 512n }],
        NoNewPrivileges: true,
        OOMScoreAdj: 2n,
      },
      Root: { Path: `${kata}/${id}/rootfs`, Readonly: true },
      Hostname: 'pod',
      Mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        {
          destination: '/dev',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
        },
        { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
        { destination: '/dev/shm', type: 'bind', source: `${kata}/sandbox/shm`, options: ['rbind'] },
        {
          destination: '/etc/hosts',
          type: 'bind',
          source: `${shared}/${id}-0123456789abcdef-hosts`,
          options: ['rbind', 'rprivate', 'rw'],
        },
      ],
      Annotations: { 'io.kubernetes.cri.container-type': 'container' },
      Linux: {
        Namespaces: ['ipc', 'uts', 'mount'].map((Type) => ({ Type })),
        MaskedPaths: [...alwaysMasked],
        ReadonlyPaths: [...alwaysReadOnly],
        CgroupsPath: `/kubepods/${id}`,
        Resources: { Memory: { Limit: 2n ** 28n }, CPU: { Shares: 1024n, Quota: -1n, Period: 100_000n } },
        Sysctl: { 'net.ipv4.ping_group_range': '0 2147483647' },
      },
    },
  });
  change(request);
  return request;
}

const storages = [
  {
    driver: 'ephemeral',
    source: 'shm',
    fstype: 'tmpfs',
    mountPoint: `${kata}/sandbox/shm`,
    options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864'],
  },
];
const process = { Args: ['/bin/true'], Env: ['A=b'], Cwd: '/', User: { UID: 1, GID: 2 } };
const address = { family: 0, address: '10.0.0.2', mask: '24' };

/** A request of each method that is forwarded, in an order in which the runtimes could send them. */
const inits = {
  UpdateInterface: {
    interface: {
      device: 'eth0',
      name: 'eth0',
      IPAddresses: [address],
      mtu: 1500n,
      hwAddr: '02:00:5e:10:00:01',
      devicePath: '02/01',
      type: 'veth',
      rawFlags: 128,
    },
  },
  UpdateRoutes: {
    routes: {
      Routes: [
        {
          dest: '10.1.0.0/16',
          gateway: '10.0.0.1',
          device: 'eth0',
          source: '10.0.0.2',
          scope: 253,
          flags: 4,
          mtu: 1400,
        },
      ],
    },
  },
  AddARPNeighbors: {
    neighbors: {
      ARPNeighbors: [
        { toIPAddress: address, device: 'eth0', lladdr: '02:00:5e:10:00:02', state: 128, flags: 2 },
      ],
    },
  },
  CreateSandbox: {
    hostname: 'pod',
    dns: ['nameserver 10.0.0.10'],
    storages,
    sandboxPidns: true,
    sandboxId: 'sandbox-1',
  },
  GetGuestDetails: { memBlockSize: true, memHotplugProbe: true },
  CopyFile: {
    path: `${shared}/c1-0123456789abcdef-hosts`,
    fileSize: 5n,
    fileMode: 0o100644,
    dirMode: 0o755,
    uid: 1,
    gid: 2,
    offset: 0n,
    data: Buffer.from('hosts'),
  },
  CreateContainer: forwardedContainer('c1', (request) => {
    request.storages.push(
      ...create(CreateContainerRequestSchema, {
        storages: [
          {
            driver: 'ephemeral',
            source: 'tmpfs',
            fstype: 'tmpfs',
            mountPoint: `${kata}/sandbox/ephemeral/cache`,
            options: ['fsgid=7'],
          },
        ],
      }).storages,
    );
  }),
  StartContainer: { containerId: 'c1' },
  ExecProcess: { containerId: 'c1', execId: 'e1', process },
  SignalProcess: { containerId: 'c1', execId: 'e1', signal: 15 },
  WaitProcess: { containerId: 'c1', execId: 'e1' },
  UpdateContainer: {
    containerId: 'c1',
    resources: { Memory: { Limit: 2n ** 29n }, CPU: { Shares: 2048n, Cpus: '0-1' }, Pids: { Limit: 100n } },
  },
  StatsContainer: { containerId: 'c1' },
  PauseContainer: { containerId: 'c1' },
  ResumeContainer: { containerId: 'c1' },
  WriteStdin: { containerId: 'c1', execId: 'c1', data: Buffer.from('in') },
  ReadStdout: { containerId: 'c1', execId: 'c1', len: 32_768 },
  ReadStderr: { containerId: 'c1', execId: 'c1', len: 32_768 },
  CloseStdin: { containerId: 'c1', execId: 'c1' },
  TtyWinResize: { containerId: 'c1', execId: 'c1', row: 24, column: 80 },
  ListInterfaces: {},
  ListRoutes: {},
  GetIPTables: { isIpv6: true },
  OnlineCPUMem: { wait: true, nbCpus: 2, cpuOnly: true },
  ReseedRandomDev: { data: Buffer.from('seed') },
  MemHotplugByProbe: { memHotplugProbeAddr: [2n ** 40n] },
  SetGuestDateTime: { Sec: 1_900_000_000n, Usec: 5n },
  GetOOMEvent: {},
  AddSwap: { PCIPath: [2, 1] },
  MemAgentMemcgSet: {
    disabled: false,
    swap: true,
    swappinessMax: 60,
    periodSecs: 600n,
    periodPsiPercentLimit: 1,
    evictionPsiPercentLimit: 1,
    evictionRunAgingCountMin: 3n,
  },
  MemAgentCompactSet: {
    disabled: false,
    periodSecs: 600n,
    periodPsiPercentLimit: 1,
    compactPsiPercentLimit: 5,
    compactSecMax: 300n,
    compactOrder: 9,
    compactThreshold: 1024n,
    compactForceTimes: 2n,
  },
  UpdateEphemeralMounts: {
    storages: [
      {
        driver: 'ephemeral',
        source: 'tmpfs',
        fstype: 'tmpfs',
        mountPoint: `${kata}/sandbox/ephemeral/cache`,
        options: ['remount', 'size=512M', 'fsgid=7'],
      },
    ],
  },
  GetVolumeStats: { volumeGuestPath: `${kata}/sandbox/ephemeral/cache` },
  ResizeVolume: { volumeGuestPath: `${kata}/sandbox/ephemeral/cache`, size: 2n ** 30n },
  GetMetrics: {},
  GetDiagnosticData: { logType: 'termination_log', containerId: 'c1' },
  RemoveStaleVirtiofsShareMounts: {},
  RemoveContainer: { containerId: 'c1', timeout: 3 },
  DestroySandbox: {},
} satisfies Partial<Record<MethodName, object>>;

export const forwardedMethods: readonly MethodName[] = Object.keys(inits) as (keyof typeof inits)[];

/** Returns that request of a method. */
export function forwardedRequest(method: MethodName): Message {
  const descriptor = AgentService.methods.find(({ name }) => name === method);
  const init = (inits as Partial<Record<MethodName, object>>)[method];
  if (descriptor === undefined || init === undefined)
    throw new TypeError(`no request of ${method} is forwarded`);
  return create(descriptor.input, init as never);
}
