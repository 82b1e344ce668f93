import { loadSyscalls, type Syscalls } from '@kata-agent/linux';
import {
  confine,
  type Confinement,
  programPlaces,
  pullPlaces,
  unpackCapabilities,
  unpackPlaces,
  type VisiblePlace,
} from './confine.js';
import type { ChildOptions, ChildTask } from './options.js';

/** Descriptor of the agent's socket. */
export const agentSocket = 3;
const openFiles = 1024;

/** Confines this process, and executes the program again with the name of its task as the argument. Throws if a step fails. */
export function confineAndExecute(entry: string, options: ChildOptions): never {
  const { task, blobs, user, memory, cpuSeconds, fileSize, programDirectory, environment } = options;
  const syscalls = loadSyscalls();
  const executable = process.execPath;
  confine(syscalls, {
    user,
    ...rightsOf(task, blobs, programPlaces(executable, programDirectory)),
    memory,
    cpuSeconds,
    openFiles,
    fileSize,
  });
  for (const descriptor of [0, 1, 2, agentSocket]) leaveOpen(syscalls, descriptor);
  syscalls.execute(executable, [executable, ...process.execArgv, entry, task.name], environment);
  throw new Error('execve(2) returned');
}

function rightsOf(
  task: ChildTask,
  blobs: string,
  program: readonly VisiblePlace[],
): Pick<Confinement, 'capabilities' | 'places' | 'network'> {
  return task.name === 'pull'
    ? { capabilities: [], places: [...program, ...pullPlaces(blobs)], network: true }
    : {
        capabilities: unpackCapabilities,
        places: [...program, ...unpackPlaces(blobs, task.target)],
        network: false,
      };
}

/** Node.js makes the descriptors that it inherits close-on-exec. */
function leaveOpen(syscalls: Syscalls, descriptor: number): void {
  const copy = syscalls.duplicate(descriptor);
  syscalls.dup3(copy, descriptor, 0);
  syscalls.close(copy);
}
