import type { BpfCalls, ConfinementCalls } from './confinement-calls.js';
import type { DescriptorCalls, TerminalCalls } from './descriptor-calls.js';
import type { FileCalls } from './file-calls.js';
import type { MachineCalls } from './machine-calls.js';
import type { MountCalls, NamespaceCalls } from './mount-calls.js';
import type { ProcessCalls } from './process-calls.js';
import type { SocketCalls } from './socket-calls.js';
import type { SpawnCall } from './spawn-call.js';

/**
 * The system calls that Node has no API for. Each is synchronous, is made only where it cannot block the event loop for
 * long, and throws a `SyscallError`. Descriptors are plain numbers here: hold them in a `Descriptor`.
 *
 * Calls that Node has are not repeated: fstat, ftruncate, fchmod, statfs, reading and writing go through `node:fs`,
 * also on descriptors from here.
 */
export interface Syscalls
  extends BpfCalls,
    ConfinementCalls,
    DescriptorCalls,
    FileCalls,
    MountCalls,
    NamespaceCalls,
    ProcessCalls,
    SocketCalls,
    SpawnCall,
    TerminalCalls,
    MachineCalls {}
