import { readFileSync } from 'node:fs';
import { Socket as Stream } from 'node:net';

import { join } from 'node:path';
import { Open, Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';

import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** The exit status of a process. */
export interface ExitStatus {
  /** The exit code as a shell reports it: 128 + signal number for a process ended by a signal. */
  readonly code: number;
  /** The number of the signal that ended it, if any. */
  readonly signal?: number;
}

/** Decodes a status of waitpid(2) (wait(2): the low seven bits are the signal, the next byte the exit code). */
export function exitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { code: 128 + signal, signal };
}

/** Fields of `/proc/<pid>/stat` (proc_pid_stat(5)). */
export interface ProcessStat {
  /** `Z`: a zombie, which has ended but whose parent has not waited for it. */
  readonly state: string;
  readonly parent: number;
  /** Start time in clock ticks since boot; together with the pid it identifies a process uniquely. */
  readonly startTime: number;
  /** The wait status (see `exitStatus`) once it has ended. Readable by root only; 0 for others. */
  readonly status: number;
}

/** Reads a process's stat; undefined when there is no such process. */
export function processStat(pid: number, proc = '/proc'): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(join(proc, String(pid), 'stat'), 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
  // The second field is the command in parentheses, which may itself contain parentheses and spaces; the state is the
  // third.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): string => fields[number - 3] ?? '';
  return {
    state: field(3),
    parent: Number(field(4)),
    startTime: Number(field(22)),
    status: Number(field(52)),
  };
}

/** A process, by pid and start time, since pids are reused. */
export interface ForeignProcess {
  readonly pid: number;
  /** As returned by `processStat`. */
  readonly startTime: number;
}

/**
 * Resolves when a process has ended that is not a child of this one, so that waitpid(2) cannot be used. Its status is
 * available until its parent has waited for it (`/proc/<pid>/stat`), and later from Linux 6.15 on. Undefined: it has
 * ended with an unknown status. Does not keep Node.js alive.
 */
export async function foreignExit(
  syscalls: Syscalls,
  { pid, startTime }: ForeignProcess,
  { proc = '/proc' }: { readonly proc?: string } = {},
): Promise<ExitStatus | undefined> {
  const isThere = (): boolean => processStat(pid, proc)?.startTime === startTime;
  if (!isThere()) return undefined;
  const descriptor = openProcess(syscalls, pid);
  if (descriptor === undefined) return undefined;
  try {
    // The pid may have been reused before the descriptor was opened.
    if (!isThere()) return undefined;
    await readable(syscalls, descriptor);
    const status = syscalls.pidfdStatus(descriptor.fd) ?? statusOfZombie({ pid, startTime }, proc);
    // Its parent may have waited for it between the two reads.
    const known = status ?? syscalls.pidfdStatus(descriptor.fd);
    return known === undefined ? undefined : exitStatus(known);
  } finally {
    descriptor.close();
  }
}

function openProcess(syscalls: Syscalls, pid: number): Descriptor | undefined {
  try {
    return new Descriptor(syscalls, syscalls.pidfdOpen(pid));
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
 * Resolves when the descriptor is readable. Node.js cannot poll such descriptors, so it gets a decoy socket whose
 * number the descriptor takes over in the same tick (see terminal.ts). The read fails then, which is the notification.
 */
async function readable(syscalls: Syscalls, descriptor: Descriptor): Promise<void> {
  const [decoy, other] = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.CloseOnExec, 0);
  const stream = new Stream({ fd: decoy, readable: true, writable: false });
  const readable = new Promise<void>((resolve) => {
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
  await readable;
}
