export { At, Open, Reboot, Resolve, Socket, Unmount, Wait } from './constants.js';
export { Descriptor } from './descriptor.js';
export { errnoName, errnoNumber, errnoText } from './errno.js';
export { type ExitStatus, exitStatus } from './exit-status.js';
export { type RecordedCall, RecordingSyscalls, type ScriptedCalls } from './fake.js';
export { loadSyscalls } from './koffi.js';
export { hasCode, SyscallError } from './syscall-error.js';
export type { OpenHow, PathName, PeerCredentials, Syscalls, Waited } from './syscalls.js';
