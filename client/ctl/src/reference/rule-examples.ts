import type { JsonObject } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RuleContainer } from '@kata-agent/gate';

/** Examples for network, memory, files, clock and metrics of the guest. */
const guestExamples: RuleExamples<
  | 'UpdateInterface'
  | 'UpdateRoutes'
  | 'AddARPNeighbors'
  | 'ListInterfaces'
  | 'ListRoutes'
  | 'GetIPTables'
  | 'SetIPTables'
  | 'OnlineCPUMem'
  | 'MemHotplugByProbe'
  | 'AddSwap'
  | 'AddSwapPath'
  | 'MemAgentMemcgSet'
  | 'MemAgentCompactSet'
  | 'CopyFile'
  | 'UpdateEphemeralMounts'
  | 'RemoveStaleVirtiofsShareMounts'
  | 'GetVolumeStats'
  | 'ResizeVolume'
  | 'GetOOMEvent'
  | 'GetMetrics'
  | 'GetDiagnosticData'
  | 'ReseedRandomDev'
  | 'SetGuestDateTime'
  | 'SetPolicy'
> = {
  UpdateInterface: {
    description: 'Only eth0 is configured, with an MTU of at least 1280.',
    expression: 'request.interface.name == "eth0" && request.interface.mtu >= 1280',
    passes: { request: { interface: { name: 'eth0', mtu: '1500' } } },
    refused: { request: { interface: { name: 'eth1', mtu: '1500' } } },
  },
  UpdateRoutes: {
    description: 'Every route uses eth0.',
    expression: 'request.routes.Routes.all(route, route.device == "eth0")',
    passes: { request: { routes: { Routes: [{ dest: '', device: 'eth0' }] } } },
    refused: { request: { routes: { Routes: [{ dest: '10.0.0.0/8', device: 'tun0' }] } } },
  },
  AddARPNeighbors: {
    description: 'Every neighbour is on eth0.',
    expression: 'request.neighbors.ARPNeighbors.all(neighbour, neighbour.device == "eth0")',
    passes: { request: { neighbors: { ARPNeighbors: [{ device: 'eth0' }] } } },
    refused: { request: { neighbors: { ARPNeighbors: [{ device: 'eth1' }] } } },
  },
  ListInterfaces: {
    description: 'The peer is the host, over vsock.',
    expression: 'peer.kind == "vsock" && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  ListRoutes: {
    description: 'The call comes through the listener "host".',
    expression: 'listener == "host"',
    passes: { listener: 'host' },
    refused: { listener: 'tenant' },
  },
  GetIPTables: {
    description: 'Only IPv4 tables are read.',
    expression: '!request.is_ipv6',
    passes: { request: { is_ipv6: false } },
    refused: { request: { is_ipv6: true } },
  },
  SetIPTables: {
    description: 'The new filter table does not accept all input by default.',
    expression: '!string(request.data).contains(":INPUT ACCEPT")',
    passes: { request: { data: 'KmZpbHRlcgo6SU5QVVQgRFJPUAo=' } },
    refused: { request: { data: 'KmZpbHRlcgo6SU5QVVQgQUNDRVBUCg==' } },
  },
  OnlineCPUMem: {
    description: 'At most eight CPUs are added.',
    expression: 'request.nb_cpus <= 8',
    passes: { request: { nb_cpus: 2, wait: true } },
    refused: { request: { nb_cpus: 64 } },
  },
  MemHotplugByProbe: {
    description: 'At most 16 memory blocks are announced at once.',
    expression: 'request.memHotplugProbeAddr.size() <= 16',
    passes: { request: { memHotplugProbeAddr: ['4294967296'] } },
    refused: { request: { memHotplugProbeAddr: Array.from({ length: 17 }, (_, block) => String(block)) } },
  },
  AddSwap: {
    description: 'The swap device is on one PCI bus.',
    expression: 'request.PCIPath.size() == 1',
    passes: { request: { PCIPath: [3] } },
    refused: { request: { PCIPath: [3, 1] } },
  },
  AddSwapPath: {
    description: 'There is one swap device.',
    expression: 'request.path == "/dev/vdb"',
    passes: { request: { path: '/dev/vdb' } },
    refused: { request: { path: '/dev/vda' } },
  },
  MemAgentMemcgSet: {
    description: 'Memory is reclaimed, but never swapped out.',
    expression: '!request.swap',
    passes: { request: { swap: false, period_secs: '60' } },
    refused: { request: { swap: true } },
  },
  MemAgentCompactSet: {
    description: 'Memory is compacted at most once a minute.',
    expression: 'has(request.period_secs) && request.period_secs >= 60',
    passes: { request: { period_secs: '600' } },
    refused: { request: { period_secs: '1' } },
  },
  CopyFile: {
    description: 'Files are below the shared directory and are not links.',
    expression: 'path.within("/run/kata-containers/shared/containers") && file_type != "symlink"',
    passes: { request: { path: '/run/kata-containers/shared/containers/web-resolv.conf', file_mode: 33188 } },
    refused: { request: { path: '/run/kata-containers/shared/containers/../../../etc/passwd' } },
  },
  UpdateEphemeralMounts: {
    description: 'Only tmpfs mounts are resized.',
    expression: 'request.storages.all(storage, storage.fstype == "tmpfs")',
    passes: { request: { storages: [{ fstype: 'tmpfs', options: ['size=1G'] }] } },
    refused: { request: { storages: [{ fstype: 'ext4' }] } },
  },
  RemoveStaleVirtiofsShareMounts: {
    description: 'Only the host calls it.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  GetVolumeStats: {
    description: 'Only volumes below the shared directory are inspected.',
    expression: 'request.volume_guest_path.within("/run/kata-containers")',
    passes: { request: { volume_guest_path: '/run/kata-containers/shared/data' } },
    refused: { request: { volume_guest_path: '/etc' } },
  },
  ResizeVolume: {
    description: 'A volume has at most 10 GiB.',
    expression: 'request.size <= 10737418240',
    passes: { request: { size: '1073741824' } },
    refused: { request: { size: '1099511627776' } },
  },
  GetOOMEvent: {
    description: 'Events are sent to the listener "host".',
    expression: 'listener == "host"',
    passes: { listener: 'host' },
    refused: { listener: 'tenant' },
  },
  GetMetrics: {
    description: 'Only the host reads metrics.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  GetDiagnosticData: {
    description: 'Only the termination message of one container is read.',
    expression: 'request.log_type == "termination_log" && container.id == "job"',
    passes: { request: { log_type: 'termination_log' }, container: { id: 'job' } },
    refused: { request: { log_type: 'termination_log' }, container: { id: 'web' } },
  },
  ReseedRandomDev: {
    description: 'There are at least 32 bytes of randomness.',
    expression: 'request.data.size() >= 32',
    passes: { request: { data: 'A'.repeat(44) } },
    refused: { request: { data: 'AAAA' } },
  },
  SetGuestDateTime: {
    description: 'The clock is never set before 1 January 2026.',
    expression: 'request.Sec >= 1767225600',
    passes: { request: { Sec: '1780000000' } },
    refused: { request: { Sec: '1000000000' } },
  },
  SetPolicy: {
    description: 'The policy is short.',
    expression: 'request.policy.size() <= 4096',
    passes: { request: { policy: '[api]\nallowed_endpoints = ["@pod"]\n' } },
    refused: { request: { policy: '#'.repeat(5000) } },
  },
};

/** Examples for sandbox, containers and processes. */
const podExamples: RuleExamples<
  | 'CreateSandbox'
  | 'DestroySandbox'
  | 'GetGuestDetails'
  | 'CreateContainer'
  | 'StartContainer'
  | 'RemoveContainer'
  | 'UpdateContainer'
  | 'StatsContainer'
  | 'PauseContainer'
  | 'ResumeContainer'
  | 'ExecProcess'
  | 'SignalProcess'
  | 'WaitProcess'
  | 'WriteStdin'
  | 'ReadStdout'
  | 'ReadStderr'
  | 'CloseStdin'
  | 'TtyWinResize'
> = {
  CreateSandbox: {
    description: 'No kernel module is loaded, and no hook directory is named.',
    expression: 'request.kernel_modules.size() == 0 && request.guest_hook_path == ""',
    passes: { request: { hostname: 'web-0', sandbox_id: 'pod1' } },
    refused: { request: { kernel_modules: [{ name: 'nbd' }] } },
  },
  DestroySandbox: {
    description: 'The sandbox is destroyed only when no container is left.',
    expression: 'sandbox.containers.size() == 0',
    passes: {},
    refused: { containers: ['web'] },
  },
  GetGuestDetails: {
    description: 'No memory is added by address.',
    expression: '!request.mem_hotplug_probe',
    passes: { request: { mem_block_size: true } },
    refused: { request: { mem_hotplug_probe: true } },
  },
  CreateContainer: {
    description: 'The root filesystem is read-only, and storages use two drivers only.',
    expression: 'request.OCI.Root.Readonly && request.storages.all(s, s.driver in ["virtio-fs", "local"])',
    passes: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'local' }] } },
    refused: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'blk' }] } },
  },
  StartContainer: {
    description: 'The image name has one registry. The host sets this name.',
    expression: 'container.claimed.image.startsWith("registry.example/")',
    passes: { container: { image: 'registry.example/web:1' } },
    refused: { container: { image: 'elsewhere.example/web:1' } },
  },
  RemoveContainer: {
    description: 'Only stopped containers are removed.',
    expression: 'container.state == "stopped"',
    passes: { container: { state: 'stopped' } },
    refused: { container: { state: 'running' } },
  },
  UpdateContainer: {
    description: 'There is a memory limit, of at most 1 GiB.',
    expression: 'request.resources.Memory.Limit > 0 && request.resources.Memory.Limit <= 1073741824',
    passes: { request: { resources: { Memory: { Limit: '536870912' } } } },
    refused: { request: { resources: { Memory: { Limit: '-1' } } } },
  },
  StatsContainer: {
    description: 'Only the host reads counters.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  PauseContainer: {
    description: 'Only running containers are paused, and never "database".',
    expression: 'container.state == "running" && container.id != "database"',
    passes: { container: { id: 'web', state: 'running' } },
    refused: { container: { id: 'database', state: 'running' } },
  },
  ResumeContainer: {
    description: 'Only paused containers are resumed.',
    expression: 'container.state == "paused"',
    passes: { container: { state: 'paused' } },
    refused: { container: { state: 'created' } },
  },
  ExecProcess: {
    description: 'Only the health check is run, without a terminal.',
    expression: 'args == ["/bin/healthcheck"] && !terminal',
    passes: { request: { process: { Args: ['/bin/healthcheck'] } } },
    refused: { request: { process: { Args: ['/bin/sh'] } } },
  },
  SignalProcess: {
    description: 'Processes are terminated and get no other signal.',
    expression: 'signal in [9, 15]',
    passes: { request: { signal: 15 } },
    refused: { request: { signal: 10 } },
  },
  WaitProcess: {
    description: 'Only the first process of a container is waited for.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web' } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  WriteStdin: {
    description: 'Input has at most 4 KiB per call.',
    expression: 'request.data.size() <= 4096',
    passes: { request: { data: 'bHMK' } },
    refused: { request: { data: 'A'.repeat(5464) } },
  },
  ReadStdout: {
    description: 'Output of containers is read, output of execs is not.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web', len: 4096 } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  ReadStderr: {
    description: 'Standard error of one container is read.',
    expression: 'container.id == "web"',
    passes: { container: { id: 'web' } },
    refused: { container: { id: 'database' } },
  },
  CloseStdin: {
    description: 'Only the input of an exec is closed.',
    expression: 'request.exec_id != ""',
    passes: { request: { exec_id: 'e1' } },
    refused: { request: { container_id: 'web' } },
  },
  TtyWinResize: {
    description: 'A terminal has at most 500 rows and columns.',
    expression: 'request.row <= 500 && request.column <= 500',
    passes: { request: { row: 24, column: 80 } },
    refused: { request: { row: 24, column: 100000 } },
  },
};

/** A call of an example; absent fields are empty. */
export interface ExampleCall {
  /** In protobuf JSON, with the field names of the .proto file. */
  readonly request?: JsonObject;
  readonly container?: Partial<Omit<RuleContainer, 'claimed'>> & { readonly image?: string };
  /** `server_addr` if absent. */
  readonly listener?: string;
  /** The peer's CID; 2, the host, if absent. */
  readonly cid?: number;
  /** The containers of the pod. */
  readonly containers?: readonly string[];
}

/** A rule for one method, with one call that it allows and one that it denies. A test evaluates both. */
interface RuleExample {
  /** What the rule requires, as a sentence. */
  readonly description: string;
  readonly expression: string;
  readonly passes: ExampleCall;
  readonly refused: ExampleCall;
}

/** Examples for a set of methods. */
type RuleExamples<M extends MethodName> = { readonly [K in M]: RuleExample };

/** One example per method. The compiler rejects a missing one. */
export const ruleExamples: RuleExamples<MethodName> = {
  ...podExamples,
  ...guestExamples,
};
