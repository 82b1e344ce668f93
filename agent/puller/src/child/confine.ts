import { existsSync, realpathSync } from 'node:fs';
import {
  Capability,
  confine,
  type Confinement,
  leaveOpen,
  loadSyscalls,
  missingCallsFilter,
  MountAttribute,
  programFilter,
  programPlaces,
  type VisiblePath,
} from '@kata-agent/linux';
import { type ChildOptions, type ChildTask, packedFile } from './options.js';

const resolverFiles: readonly string[] = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'];

/** Changes owners and permissions of what it creates, also for other owners. */
const unpackCapabilities: readonly number[] = [
  Capability.ChangeOwner,
  Capability.OverrideAccess,
  Capability.FileOwner,
  Capability.KeepSetId,
  Capability.SetFileCapabilities,
];

/** Reads files of any owner. */
const packCapabilities: readonly number[] = [Capability.ReadAll];

/** Descriptor of the agent's socket. */
export const agentSocket = 3;
const openFiles = 1024;
/** io_uring_setup, io_uring_enter, io_uring_register. */
const ringCalls: readonly number[] = [425, 426, 427];

/**
 * Confines this process, and executes the program again with the name of its task as the argument, or the other program of the task.
 * Throws if a step fails.
 */
export function confineAndExecute(entry: string, options: ChildOptions): never {
  const { task, user, memory, cpuSeconds, fileSize, parent, programDirectory, environment } = options;
  const syscalls = loadSyscalls();
  const executable = process.execPath;
  confine(syscalls, {
    user,
    ...rightsOf(
      task,
      task.name === 'pack' ? programPlaces(task.program) : programPlaces(executable, programDirectory),
    ),
    memory,
    cpuSeconds,
    openFiles,
    fileSize,
    parent,
  });
  const [path, ...args] = commandOf(task, entry);
  // The agent's socket is not for another program: it is closed when that is executed.
  for (const descriptor of [0, 1, 2, ...(task.name === 'pack' ? [] : [agentSocket])])
    leaveOpen(syscalls, descriptor);
  syscalls.execute(path, [path, ...args], environment);
  throw new Error('execve(2) returned');
}

function commandOf(task: ChildTask, entry: string): readonly [path: string, ...args: string[]] {
  if (task.name === 'pack') return [task.program, '--quiet', `/target/${packedFile}`, '/source'];
  const options = task.name === 'pull' && task.keyless ? ['keyless'] : [];
  return [process.execPath, ...process.execArgv, entry, task.name, ...options];
}

function rightsOf(
  task: ChildTask,
  program: readonly VisiblePath[],
): Pick<Confinement, 'capabilities' | 'places' | 'network' | 'filter'> {
  // Before Node.js is started again: it would make a ring, whose operations no later filter sees.
  const filter = missingCallsFilter(ringCalls);
  if (task.name === 'pull')
    return { capabilities: [], places: [...program, ...pullPaths(task.blobs)], network: true, filter };
  return task.name === 'unpack'
    ? {
        capabilities: unpackCapabilities,
        places: [...program, ...unpackPaths(task.blobs, task.target)],
        network: false,
        filter,
      }
    : {
        capabilities: packCapabilities,
        places: [...program, ...packPaths(task.source, task.target)],
        network: false,
        // Another program installs no filter of its own.
        filter: programFilter(),
      };
}

/** Gives the layers' blobs, read-only, and the root file system that is filled. */
function unpackPaths(blobs: string, target: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: blobs, to: '/blobs', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    // Set-user-ID bits are written, but have no effect on this mount.
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the root file system, read-only, and the directory for its image. */
function packPaths(source: string, target: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: source, to: '/source', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the directory for blobs, and the files with which the C library resolves names. */
function pullPaths(blobs: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec } = MountAttribute;
  const attributes = NoSuid | NoDev | NoExec;
  return [
    { from: blobs, to: '/blobs', attributes },
    ...resolverFiles
      .filter((path) => existsSync(path))
      // The target of a link, such as that of systemd-resolved, is not visible.
      .map((path) => ({
        from: realpathSync(path),
        to: path,
        attributes: attributes | MountAttribute.ReadOnly,
      })),
  ];
}
