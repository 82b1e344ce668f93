export { At, MountAttribute, Open, Reboot, Resolve, Socket, Tree, Unmount, Wait } from './constants.js';
export { Descriptor } from './descriptor.js';
export { errnoName, errnoNumber, errnoText } from './errno.js';
export { type ExitStatus, exitStatus } from './exit-status.js';
export { type RecordedCall, RecordingSyscalls, type ScriptedCalls } from './fake.js';
export { type ForeignProcess, foreignExit } from './foreign-exit.js';
export { loadSyscalls } from './koffi.js';
export { hasCode, SyscallError } from './syscall-error.js';
export type { MountAttributes, OpenHow, PathName, PeerCredentials, Syscalls, Waited } from './syscalls.js';
export { closePipe, createPipe, type Pipe, type PipeOptions, pipeReader, pipeWriter } from './pipe.js';
export { lockHolder } from './lock-holder.js';
export { type ProcessStat, processStat } from './process-stat.js';
export { Reaper, type ReaperOptions } from './reaper.js';
export { mount, type MountCall, mountCalls, type MountRequest } from './mount.js';
export {
  formatMountOptions,
  isMountOptionWord,
  MountFlag,
  type MountOptions,
  parseMountOptions,
} from './mount-options.js';
export { type MountAttributeChange, MountTree } from './mount-tree.js';
export { mounts, mountsBelow, type MountPoint, parseMountTable, unmountTree } from './mount-table.js';
export { detachMount } from './detach-mount.js';
export type { TreeVisitor } from './walk-tree.js';
export { Directory, type MakeOptions } from './directory.js';
export { type ForeignPlace, graftMount } from './graft-mount.js';
export { Pace } from './pace.js';
export type { ThreadNamespace } from './namespace-calls.js';
export { visitNamespace } from './visit-namespace.js';
export { pathComponents, UnsafePathError } from './safe-path.js';
export { listenEventfd } from './eventfd.js';
export { listenUevents, type Uevent, type UeventListener, type UeventReceiver } from './uevents.js';
export { openPseudoTerminal, type PseudoTerminal } from './pseudo-terminal.js';
export { Terminal } from './terminal.js';
export { TerminalSocket } from './terminal-socket.js';
export { formatUnixAddress, parseUnixAddress, type UnixAddress, unixSocketAddress } from './unix-address.js';
export {
  Cid,
  formatVsockAddress,
  parseVsockAddress,
  readVsockSocketAddress,
  type VsockAddress,
  vsockSocketAddress,
} from './vsock-address.js';
export { checkExchange } from './vsock-check.js';
export { connectVsock, listenVsock, vsockPeerOf } from './vsock-socket.js';
export { connectUnix, listenUnix, type ListenOptions, peerOf } from './unix-socket.js';
