import { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import { Wait } from '../syscalls/constants.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { ProgramStart } from '../syscalls/spawn-call.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** The diagnostics channel on which Node.js publishes each new child process. */
const channel = 'child_process';

export interface ReaperOptions {
  /** Path of /proc. */
  readonly proc?: string;
  /** Number of exits kept for a later `watch`. The oldest are dropped. */
  readonly keep?: number;
  /** Called when a sweep has failed; the next SIGCHLD sweeps again. */
  readonly onFault: (error: unknown) => void;
}

/** A program that a reaper has started. */
export interface StartedProgram {
  readonly pid: number;
  /** Resolves when it has ended. Rejects if the reaper is stopped before. */
  readonly exit: Promise<ExitStatus>;
  /** Whether it was waited for: its pid may be another process's from then on. */
  readonly isOver: () => boolean;
}

interface Watch {
  readonly reaper: Reaper;
  readonly promise: Promise<ExitStatus>;
  readonly resolve: (status: ExitStatus) => void;
  readonly reject: (error: Error) => void;
}

/** Of all reapers of this process: the kernel gives the exit of a child to whichever asks first. */
const watches: Map<number, Watch> = new Map();

/** Exits that have not been requested, oldest first. */
const exits: Map<number, ExitStatus> = new Map();

/**
 * Starts programs, and waits for processes that Node.js did not start: these programs, the first processes of containers
 * and execs, which are reparented to this process, their subreaper, when the OCI runtime exits, and their descendants.
 *
 * On SIGCHLD every child except Node's own that has ended is waited for by pid, never with `waitpid(-1)`. A child that ends before it
 * is watched is a zombie until the next sweep, which keeps its exit, so no exit is lost. A pid is not reused before its
 * exit was seen here.
 */
export class Reaper {
  readonly #syscalls: Syscalls;
  readonly #proc: string;
  readonly #keep: number;
  readonly #onFault: (error: unknown) => void;
  readonly #node = new NodeChildren();
  readonly #onChild = (): void => this.sweep();
  #stopped = false;

  /** Create it before the first child process: children that Node.js started earlier are unknown to it. */
  constructor(syscalls: Syscalls, options: ReaperOptions) {
    this.#syscalls = syscalls;
    this.#proc = options.proc ?? '/proc';
    this.#keep = options.keep ?? 1024;
    this.#onFault = options.onFault;
    syscalls.setChildSubreaper();
    process.on('SIGCHLD', this.#onChild);
  }

  /**
   * Starts a program. Waiting for it does not keep Node.js alive. Throws a `SyscallError` if it cannot be executed, and an Error if
   * the reaper is stopped.
   */
  start(program: ProgramStart): StartedProgram {
    if (this.#stopped) throw new Error(`the reaper is stopped: ${program.program} is not started`);
    const pid = this.#syscalls.spawn(program);
    // Before any sweep: none runs before this function returns.
    const watch = this.#watch(pid);
    // A kept exit is of an earlier process with this pid.
    exits.delete(pid);
    return { pid, exit: watch.promise, isOver: () => watches.get(pid) !== watch };
  }

  /**
   * Resolves to the exit of a child, in the future or in the past. Each exit goes to the watchers of that moment and is
   * then dropped. Call it only after the process's first parent has exited; before that it is not a child. Rejects when
   * the pid is not a child and no exit of it is kept, and when the reaper is stopped.
   */
  watch(pid: number): Promise<ExitStatus> {
    if (!Number.isInteger(pid) || pid < 2)
      return Promise.reject(new RangeError(`${pid} is not the pid of a process that can be waited for`));
    if (this.#stopped) return Promise.reject(stopped(pid));
    if (this.#node.pids().has(pid))
      return Promise.reject(new Error(`Node.js waits for process ${pid} itself: listen to its 'exit' event`));
    const watched = watches.get(pid);
    if (watched !== undefined) return watched.promise;
    const kept = exits.get(pid);
    exits.delete(pid);
    try {
      const exit = this.#ask(pid);
      // The kernel's answer takes precedence: a kept exit may be of an earlier process with this pid.
      if (exit !== undefined) return Promise.resolve(exit);
    } catch (error) {
      if (hasCode(error, 'ECHILD')) {
        if (kept !== undefined) return Promise.resolve(kept);
        return Promise.reject(
          new Error(`process ${pid} is not a child of this process, or its exit was dropped`, {
            cause: error,
          }),
        );
      }
      return Promise.reject(error);
    }
    return this.#watch(pid).promise;
  }

  #watch(pid: number): Watch {
    const watch = newWatch(this);
    watches.set(pid, watch);
    return watch;
  }

  /**
   * Waits for every child that has ended. Called on SIGCHLD; signals coalesce, so there may be several. The kernel names one that
   * has ended; only if that is Node's own, and so hides the others, each child is looked at.
   */
  sweep(): void {
    try {
      for (;;) {
        const pid = this.#syscalls.endedChild();
        if (pid === undefined) return;
        if (this.#node.pids().has(pid) || !this.#reap(pid)) return this.#sweepEach();
      }
    } catch (error) {
      this.#onFault(error);
    }
  }

  #sweepEach(): void {
    const ofNode = this.#node.pids();
    for (const pid of new Set([...this.#children(), ...watches.keys()])) {
      if (ofNode.has(pid)) continue;
      try {
        this.#reap(pid);
      } catch (error) {
        // A child disappears only by waitpid: other code has taken the exit.
        end(pid)?.reject(new Error(`the exit of process ${pid} is lost`, { cause: error }));
        this.#onFault(error);
      }
    }
  }

  /** Without a list of children (no /proc yet), watched pids are still waited for. */
  #children(): readonly number[] {
    try {
      return childProcesses(this.#proc, process.pid);
    } catch (error) {
      this.#onFault(error);
      return [];
    }
  }

  /** Stops waiting. Pending watches are rejected; later exits are not reaped. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    process.off('SIGCHLD', this.#onChild);
    this.#node.stop();
    for (const [pid, { reaper }] of watches) if (reaper === this) end(pid)?.reject(stopped(pid));
  }

  /** Waits for a child and keeps its exit, or hands it to its watchers. Returns whether it has ended. */
  #reap(pid: number): boolean {
    const exit = this.#ask(pid);
    if (exit === undefined) return false;
    const watch = end(pid);
    if (watch === undefined) this.#keepExit(pid, exit);
    else watch.resolve(exit);
    return true;
  }

  #keepExit(pid: number, exit: ExitStatus): void {
    exits.delete(pid);
    exits.set(pid, exit);
    for (const oldest of exits.keys()) {
      if (exits.size <= this.#keep) break;
      exits.delete(oldest);
    }
  }

  #ask(pid: number): ExitStatus | undefined {
    const waited = this.#syscalls.waitpid(pid, Wait.NoHang);
    return waited === undefined ? undefined : exitStatus(waited.status);
  }
}

/** Forgets a process that has ended; returns its watch, if any. */
function end(pid: number): Watch | undefined {
  const watch = watches.get(pid);
  watches.delete(pid);
  return watch;
}

function newWatch(reaper: Reaper): Watch {
  let resolve!: Watch['resolve'];
  let reject!: Watch['reject'];
  const promise = new Promise<ExitStatus>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { reaper, promise, resolve, reject };
}

function stopped(pid: number): Error {
  return new Error(`the reaper is stopped: process ${pid} is not waited for`);
}

/**
 * Returns the pids of this process's children, zombies included. Reads `/proc/self/task/<tid>/children`, because an
 * orphan may be reparented to any thread; without CONFIG_PROC_CHILDREN it reads every process's `stat`.
 */
export function childProcesses(proc: string, self: number): readonly number[] {
  const tasks = join(proc, String(self), 'task');
  const found: number[] = [];
  for (const task of readdirSync(tasks)) {
    const children = readIfThere(join(tasks, task, 'children'))
      ?.toString()
      .trim();
    if (children === undefined) {
      // The file is missing because the thread has ended, or for every thread.
      if (task === String(self)) return byParent(proc, self);
      continue;
    }
    for (const pid of children.split(' ')) if (pid !== '') found.push(Number(pid));
  }
  return found;
}

function byParent(proc: string, parent: number): readonly number[] {
  return readdirSync(proc)
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(proc, pid) === parent);
}

/**
 * Returns the fourth field of stat. The second is the command in parentheses, which may itself contain parentheses and
 * spaces.
 */
function parentOf(proc: string, pid: number): number | undefined {
  const stat = readIfThere(join(proc, String(pid), 'stat'))?.toString();
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

/**
 * Tracks the children that Node.js waits for. If other code calls waitpid(2) on one of them, Node's `exit` event never
 * fires (docs/records/measurements.md, "Processes and stdio": 13 of 300 lost).
 *
 * Node.js publishes a child in its constructor, before it has a pid; spawning completes before any signal or event is
 * handled, so later readers see the pid. `spawnSync` is not published, and has already waited when it returns.
 */
class NodeChildren {
  readonly #children: Set<ChildProcess> = new Set();
  readonly #announced = (message: unknown): void => {
    if (!(message instanceof Object && 'process' in message && message.process instanceof ChildProcess))
      return;
    const child = message.process;
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
  };

  constructor() {
    subscribe(channel, this.#announced);
  }

  /** Returns the pids of Node's current children. A child that could not be started has no pid and is dropped. */
  pids(): ReadonlySet<number> {
    const pids = new Set<number>();
    for (const child of this.#children) {
      if (child.pid === undefined) this.#children.delete(child);
      else pids.add(child.pid);
    }
    return pids;
  }

  stop(): void {
    unsubscribe(channel, this.#announced);
    this.#children.clear();
  }
}
