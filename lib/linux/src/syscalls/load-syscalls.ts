import { endianness } from 'node:os';
import { bpfCalls, confinementCalls } from './confinement-calls.js';
import { descriptorCalls, terminalCalls } from './descriptor-calls.js';
import { fileCalls } from './file-calls.js';
import { loadCLibrary } from './koffi.js';
import { machineCalls } from './machine-calls.js';
import { mountCalls, namespaceCalls } from './mount-calls.js';
import { processCalls } from './process-calls.js';
import { socketCalls } from './socket-calls.js';
import { spawnCall } from './spawn-call.js';
import type { Syscalls } from './syscalls.js';

/** Loads the bindings to the real kernel. If koffi cannot be loaded, the error names what is missing. */
export function loadSyscalls(): Syscalls {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(
      `system calls are written for Linux on x86_64 and aarch64, not for ${process.platform} on ${process.arch}`,
    );
  }
  const library = loadCLibrary();
  return {
    ...bpfCalls(library),
    ...confinementCalls(library),
    ...descriptorCalls(library),
    ...fileCalls(library),
    ...mountCalls(library),
    ...namespaceCalls(library),
    ...processCalls(library),
    ...socketCalls(library),
    ...spawnCall(library),
    ...terminalCalls(library),
    ...machineCalls(library),
  };
}
