import { Socket as Stream } from 'node:net';
import { Open, Socket } from './constants.js';
import { Descriptor } from './descriptor.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { loadProcessCalls, type ProcessCalls } from './process-calls.js';
import { processStat } from './process-stat.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

/** A process, by pid and the time of its start: a pid alone may be another's by now. */
export interface ForeignProcess {
  readonly pid: number;
  /** As `processStat` tells it. */
  readonly startTime: number;
}

interface Surroundings {
  readonly proc?: string;
  readonly calls?: ProcessCalls;
}

/**
 * Resolves when a process has ended that is not our child, so that waitpid(2) does not answer for it. How it ended is
 * known while its parent has not waited for it (`/proc/<pid>/stat`), and after that from Linux 6.15 on. Undefined: it has
 * ended, and nobody can tell how. Does not keep Node from ending.
 */
export async function foreignExit(
  syscalls: Syscalls,
  { pid, startTime }: ForeignProcess,
  { proc = '/proc', calls = loadProcessCalls() }: Surroundings = {},
): Promise<ExitStatus | undefined> {
  const isThere = (): boolean => processStat(pid, proc)?.startTime === startTime;
  if (!isThere()) return undefined;
  const descriptor = openProcess(syscalls, pid, calls);
  if (descriptor === undefined) return undefined;
  try {
    // The descriptor may have been opened a moment too late, on another process of that pid.
    if (!isThere()) return undefined;
    await readable(syscalls, descriptor);
    const status = calls.statusAfterEnd(descriptor.fd) ?? statusOfZombie({ pid, startTime }, proc);
    // Its parent may have waited for it between the two questions.
    const known = status ?? calls.statusAfterEnd(descriptor.fd);
    return known === undefined ? undefined : exitStatus(known);
  } finally {
    descriptor.close();
  }
}

function openProcess(syscalls: Syscalls, pid: number, calls: ProcessCalls): Descriptor | undefined {
  try {
    return new Descriptor(syscalls, calls.open(pid));
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

function statusOfZombie({ pid, startTime }: ForeignProcess, proc: string): number | undefined {
  const stat = processStat(pid, proc);
  const tells = stat?.state === 'Z' && stat.startTime === startTime && process.geteuid?.() === 0;
  return tells ? stat.status : undefined;
}

/**
 * Resolves when the descriptor is readable. Node polls no descriptors of this kind, so a socket is made of a decoy whose
 * number the descriptor takes in the same tick (see terminal.ts). The read that follows is refused: that is the news.
 */
async function readable(syscalls: Syscalls, descriptor: Descriptor): Promise<void> {
  const [decoy, other] = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.CloseOnExec, 0);
  const stream = new Stream({ fd: decoy, readable: true, writable: false });
  const told = new Promise<void>((resolve) => {
    stream.once('error', () => resolve());
    stream.once('close', () => resolve());
  });
  try {
    syscalls.dup3(descriptor.fd, decoy, Open.CloseOnExec);
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    syscalls.close(other);
  }
  stream.unref().resume();
  await told;
}
