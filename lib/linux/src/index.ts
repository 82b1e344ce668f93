export {
  At,
  MountAttribute,
  Open,
  Reboot,
  Resolve,
  Socket,
  Tree,
  Unmount,
  Wait,
} from './syscalls/constants.js';
export { Descriptor } from './fs/descriptor.js';
export { errnoName, errnoNumber, errnoText } from './syscalls/syscall-error.js';
export { type ExitStatus, exitStatus } from './process/exit-status.js';
export { type RecordedCall, RecordingSyscalls, type ScriptedCalls } from './syscalls/fake.js';
export { type ForeignProcess, foreignExit } from './process/exit-status.js';
export { loadSyscalls } from './syscalls/load-syscalls.js';
export { hasCode, SyscallError } from './syscalls/syscall-error.js';
export type { FileTime, OpenHow } from './syscalls/file-calls.js';
export type { MountAttributes } from './syscalls/mount-calls.js';
export type { PathName } from './syscalls/koffi.js';
export type { Waited } from './syscalls/process-calls.js';
export type { PeerCredentials } from './syscalls/socket-calls.js';
export type { Syscalls } from './syscalls/syscalls.js';
export {
  closePipe,
  closePipeEnd,
  createPipe,
  openPipeEnd,
  type Pipe,
  type PipeAt,
  type PipeOptions,
} from './fs/pipe.js';
export { enlargeThreadPool, pipeCalls } from './fs/pipe-calls.js';
export { PipeReader } from './fs/pipe-reader.js';
export { PipeWriter } from './fs/pipe-writer.js';
export { lockHolder } from './process/lock-holder.js';
export { type ProcessStat, processStat } from './process/exit-status.js';
export { Reaper, type ReaperOptions, type StartedProgram } from './process/reaper.js';
export type { ProgramStart } from './syscalls/spawn-call.js';
export { searchPath } from './process/confine.js';
export { SIGKILL, SIGTERM } from './syscalls/constants.js';
export { mount, type MountCall, mountCalls, type MountRequest } from './mount/mount.js';
export {
  formatMountOptions,
  isMountOptionWord,
  MountFlag,
  type MountOptions,
  parseMountOptions,
} from './mount/mount-options.js';
export { type MountAttributeChange, MountTree } from './mount/mount-tree.js';
export {
  mounts,
  mountsBelow,
  type MountPoint,
  parseMountTable,
  unescapeMountWord,
  unmountTree,
} from './mount/mount-table.js';
export { detachMount, detachMountHere } from './mount/mount.js';
export { KernelFiles, readKernelFile } from './fs/kernel-files.js';
export type { TreeVisitor } from './fs/walk-tree.js';
export { Directory, type MakeOptions } from './fs/directory.js';
export { type ForeignPlace, graftMount } from './mount/other-namespace.js';
export { restrictMounts } from './mount/other-namespace.js';
export { Pace } from './fs/walk-tree.js';
export type { ThreadNamespace } from './syscalls/mount-calls.js';
export { visitNamespace } from './mount/other-namespace.js';
export { pathComponents, UnsafePathError } from './fs/safe-path.js';
export { listenEventfd } from './socket/kernel-events.js';
export {
  listenUevents,
  type Uevent,
  type UeventListener,
  type UeventReceiver,
} from './socket/kernel-events.js';
export { openPseudoTerminal, type PseudoTerminal } from './terminal/terminal.js';
export { Terminal } from './terminal/terminal.js';
export { TerminalSocket } from './terminal/terminal-socket.js';
export {
  formatUnixAddress,
  parseUnixAddress,
  type UnixAddress,
  unixSocketAddress,
} from './socket/unix-socket.js';
export {
  Cid,
  formatVsockAddress,
  parseVsockAddress,
  readVsockSocketAddress,
  type VsockAddress,
  vsockSocketAddress,
} from './socket/vsock-socket.js';
export { checkExchange } from './socket/vsock-check.js';
export { connectVsock, listenVsock, vsockPeerOf } from './socket/vsock-socket.js';
export {
  connectProxy,
  formatNetworkPlace,
  type HttpProxy,
  type NetworkPlace,
  ProxyError,
} from './socket/connect-proxy.js';
export { limitUnacknowledged } from './socket/unix-socket.js';
export { connectUnix, listenUnix, type ListenOptions, peerOf } from './socket/unix-socket.js';
export { cryptTarget } from './device/mapped-device.js';
export { attachDeviceFilter, deviceFilter } from './device/device-filter.js';
export { createMappedDevice, type MappedTable, removeMappedDevice } from './device/mapped-device.js';
export { readFirstBlock, verityTarget } from './device/mapped-device.js';
export {
  Capability,
  type CapabilitySets,
  ResourceLimit,
  type UnsharedNamespace,
} from './syscalls/confinement-calls.js';
export {
  confine,
  type Confinement,
  leaveOpen,
  programPlaces,
  type VisibleDisk,
  type VisiblePath,
} from './process/confine.js';
export {
  type CallNumbers,
  callsBeyondFiles,
  numberOf,
  numbersOf,
  programFilter,
  threadsOnly,
} from './process/program-filter.js';
export {
  type ArgumentRule,
  missingCallsFilter,
  seccompFilter,
  type SeccompPolicy,
} from './process/seccomp-filter.js';
export { ZstdDecoder, ZstdError } from './zstd.js';
export type { LendingStream } from './socket/lending-reads.js';
export { lendingStream } from './socket/lending-stream.js';
export {
  type AnyTask,
  type Commitment,
  serveTasks,
  type Task,
  type TaskTools,
} from './thread/serve-tasks.js';
export { TaskFailure, type TaskThreadLimits, TaskThreads } from './thread/task-threads.js';
export {
  AddressAttribute,
  AddressFlag,
  type AddressMessage,
  localAddress,
} from './netlink/address-message.js';
export { type Attribute, attributeOf, decodeAttributes, encodeAttributes } from './netlink/attributes.js';
export { uint32Attribute, uint32Of } from './netlink/attributes.js';
export { AddressFamily, encodeIpAddress, formatIpAddress } from './netlink/ip-address.js';
export { type LinkChange, LinkFlag, type LinkMessage } from './netlink/link-message.js';
export { NeighbourFlag, type NeighbourMessage, NeighbourState } from './netlink/neighbour-message.js';
export { NetlinkError } from './netlink/netlink-error.js';
export { maskNextHopFlags } from './netlink/next-hops.js';
export {
  decodeRoute,
  encodeRoute,
  RouteAttribute,
  RouteFlag,
  type RouteMessage,
  RouteMetric,
  RouteProtocol,
  RouteScope,
  RouteTable,
  RouteType,
} from './netlink/route-message.js';
export { Rtnetlink } from './netlink/rtnetlink.js';
