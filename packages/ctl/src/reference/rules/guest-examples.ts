import type { RuleExamples } from './rule-example.js';

/** The guest's network, memory, files, clock and figures. */
export const guestExamples: RuleExamples<
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
    says: 'There is one interface, with packets of a sensible size.',
    expression: 'request.interface.name == "eth0" && request.interface.mtu >= 1280',
    passes: { request: { interface: { name: 'eth0', mtu: '1500' } } },
    refused: { request: { interface: { name: 'eth1', mtu: '1500' } } },
  },
  UpdateRoutes: {
    says: 'Every route goes through eth0.',
    expression: 'request.routes.Routes.all(route, route.device == "eth0")',
    passes: { request: { routes: { Routes: [{ dest: '', device: 'eth0' }] } } },
    refused: { request: { routes: { Routes: [{ dest: '10.0.0.0/8', device: 'tun0' }] } } },
  },
  AddARPNeighbors: {
    says: 'Neighbours are those of eth0.',
    expression: 'request.neighbors.ARPNeighbors.all(neighbour, neighbour.device == "eth0")',
    passes: { request: { neighbors: { ARPNeighbors: [{ device: 'eth0' }] } } },
    refused: { request: { neighbors: { ARPNeighbors: [{ device: 'eth1' }] } } },
  },
  ListInterfaces: {
    says: 'Who asks comes over vsock.',
    expression: 'peer.kind == "vsock" && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  ListRoutes: {
    says: 'Who asks comes through the listener "host".',
    expression: 'listener == "host"',
    passes: { listener: 'host' },
    refused: { listener: 'tenant' },
  },
  GetIPTables: {
    says: 'Only the filter for IPv4 is shown.',
    expression: '!request.is_ipv6',
    passes: { request: { is_ipv6: false } },
    refused: { request: { is_ipv6: true } },
  },
  SetIPTables: {
    says: 'A filter that lets everything in is not taken.',
    expression: '!string(request.data).contains(":INPUT ACCEPT")',
    passes: { request: { data: 'KmZpbHRlcgo6SU5QVVQgRFJPUAo=' } },
    refused: { request: { data: 'KmZpbHRlcgo6SU5QVVQgQUNDRVBUCg==' } },
  },
  OnlineCPUMem: {
    says: 'At most eight processors are added.',
    expression: 'request.nb_cpus <= 8',
    passes: { request: { nb_cpus: 2, wait: true } },
    refused: { request: { nb_cpus: 64 } },
  },
  MemHotplugByProbe: {
    says: 'At most 16 blocks of memory are told of at once.',
    expression: 'request.memHotplugProbeAddr.size() <= 16',
    passes: { request: { memHotplugProbeAddr: ['4294967296'] } },
    refused: { request: { memHotplugProbeAddr: Array.from({ length: 17 }, (_, block) => String(block)) } },
  },
  AddSwap: {
    says: 'The device for swap stands on one bus.',
    expression: 'request.PCIPath.size() == 1',
    passes: { request: { PCIPath: [3] } },
    refused: { request: { PCIPath: [3, 1] } },
  },
  AddSwapPath: {
    says: 'There is one device for swap.',
    expression: 'request.path == "/dev/vdb"',
    passes: { request: { path: '/dev/vdb' } },
    refused: { request: { path: '/dev/vda' } },
  },
  MemAgentMemcgSet: {
    says: 'Memory is given back, but never swapped out.',
    expression: '!request.swap',
    passes: { request: { swap: false, period_secs: '60' } },
    refused: { request: { swap: true } },
  },
  MemAgentCompactSet: {
    says: 'Memory is compacted at most once a minute.',
    expression: 'has(request.period_secs) && request.period_secs >= 60',
    passes: { request: { period_secs: '600' } },
    refused: { request: { period_secs: '1' } },
  },
  CopyFile: {
    says: 'Files go below the shared directory, and none of them is a link.',
    expression: 'path.within("/run/kata-containers/shared/containers") && file_type != "symlink"',
    passes: { request: { path: '/run/kata-containers/shared/containers/web-resolv.conf', file_mode: 33188 } },
    refused: { request: { path: '/run/kata-containers/shared/containers/../../../etc/passwd' } },
  },
  UpdateEphemeralMounts: {
    says: 'Only mounts in memory change their size.',
    expression: 'request.storages.all(storage, storage.fstype == "tmpfs")',
    passes: { request: { storages: [{ fstype: 'tmpfs', options: ['size=1G'] }] } },
    refused: { request: { storages: [{ fstype: 'ext4' }] } },
  },
  RemoveStaleVirtiofsShareMounts: {
    says: 'Only the host asks for it.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  GetVolumeStats: {
    says: 'Only volumes below the shared directory are looked at.',
    expression: 'request.volume_guest_path.within("/run/kata-containers")',
    passes: { request: { volume_guest_path: '/run/kata-containers/shared/data' } },
    refused: { request: { volume_guest_path: '/etc' } },
  },
  ResizeVolume: {
    says: 'A volume has at most 10 GiB.',
    expression: 'request.size <= 10737418240',
    passes: { request: { size: '1073741824' } },
    refused: { request: { size: '1099511627776' } },
  },
  GetOOMEvent: {
    says: 'Events go to the listener "host".',
    expression: 'listener == "host"',
    passes: { listener: 'host' },
    refused: { listener: 'tenant' },
  },
  GetMetrics: {
    says: 'Figures go to the host alone.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  GetDiagnosticData: {
    says: 'Termination messages of one container are told.',
    expression: 'request.log_type == "termination_log" && container.id == "job"',
    passes: { request: { log_type: 'termination_log' }, container: { id: 'job' } },
    refused: { request: { log_type: 'termination_log' }, container: { id: 'web' } },
  },
  ReseedRandomDev: {
    says: 'There are at least 32 bytes of randomness.',
    expression: 'request.data.size() >= 32',
    passes: { request: { data: 'A'.repeat(44) } },
    refused: { request: { data: 'AAAA' } },
  },
  SetGuestDateTime: {
    says: 'The clock is never turned back behind the first of January 2026.',
    expression: 'request.Sec >= 1767225600',
    passes: { request: { Sec: '1780000000' } },
    refused: { request: { Sec: '1000000000' } },
  },
  SetPolicy: {
    says: 'A policy is short.',
    expression: 'request.policy.size() <= 4096',
    passes: { request: { policy: '[api]\nallowed_endpoints = ["@pod"]\n' } },
    refused: { request: { policy: '#'.repeat(5000) } },
  },
};
