import { loadSyscalls, type Syscalls } from '@kata-agent/linux';
import { confine, programPlaces, unpackCapabilities, unpackPlaces } from './confine.js';
import type { ChildOptions } from './options.js';

/** Descriptor of the agent's socket. */
export const agentSocket = 3;
const openFiles = 1024;

/** Confines this process, and executes the program again with `unpack` as its argument. Throws if a step fails. */
export function confineAndExecute(entry: string, options: ChildOptions): never {
  const { blobs, target, user, memory, cpuSeconds, fileSize, programDirectory, environment } = options;
  const syscalls = loadSyscalls();
  const executable = process.execPath;
  confine(syscalls, {
    user,
    capabilities: unpackCapabilities,
    places: [...programPlaces(executable, programDirectory), ...unpackPlaces(blobs, target)],
    network: false,
    memory,
    cpuSeconds,
    openFiles,
    fileSize,
  });
  for (const descriptor of [0, 1, 2, agentSocket]) leaveOpen(syscalls, descriptor);
  syscalls.execute(executable, [executable, ...process.execArgv, entry, 'unpack'], environment);
  throw new Error('execve(2) returned');
}

/** Node.js makes the descriptors that it inherits close-on-exec. */
function leaveOpen(syscalls: Syscalls, descriptor: number): void {
  const copy = syscalls.duplicate(descriptor);
  syscalls.dup3(copy, descriptor, 0);
  syscalls.close(copy);
}
