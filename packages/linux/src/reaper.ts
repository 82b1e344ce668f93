import { childProcesses } from './child-processes.js';
import { Wait } from './constants.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { NodeChildren } from './node-children.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

export interface ReaperOptions {
  /** Where /proc is. */
  readonly proc?: string;
  /** How many exits are kept for a `watch` that may come. The oldest goes first. */
  readonly keep?: number;
  /** Told of a sweep that failed; the next SIGCHLD sweeps again. */
  readonly onFault: (error: unknown) => void;
}

interface Watch {
  readonly promise: Promise<ExitStatus>;
  readonly resolve: (status: ExitStatus) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Waits for processes that Node did not start: first processes of containers and of execs, whose parent (the OCI runtime)
 * has exited and whose new parent we are as their subreaper, and whatever they leave behind.
 *
 * On SIGCHLD every child is asked for by its own pid, those of Node excepted. Never `waitpid(-1)`. A child that ended
 * before anybody watched it is a zombie until the next sweep, and its exit is kept after that: either way it is not lost.
 * No pid is free for another process before its exit was seen here.
 */
export class Reaper {
  readonly #syscalls: Syscalls;
  readonly #proc: string;
  readonly #keep: number;
  readonly #onFault: (error: unknown) => void;
  readonly #node = new NodeChildren();
  readonly #watches: Map<number, Watch> = new Map();
  /** Exits that nobody has asked for yet, oldest first. */
  readonly #exits: Map<number, ExitStatus> = new Map();
  readonly #onChild = (): void => this.sweep();
  #stopped = false;

  /** Start it before the first child process: those that Node began earlier are unknown to it. */
  constructor(syscalls: Syscalls, options: ReaperOptions) {
    this.#syscalls = syscalls;
    this.#proc = options.proc ?? '/proc';
    this.#keep = options.keep ?? 1024;
    this.#onFault = options.onFault;
    syscalls.setChildSubreaper();
    process.on('SIGCHLD', this.#onChild);
  }

  /**
   * The exit of a child, whether it is still to come or happened already; each exit is answered to the watchers of that
   * moment and then forgotten. Ask only once the process's first parent has exited, or it is not ours yet.
   * Rejects when the pid is no child of ours and no exit of it is kept, and when the reaper is stopped.
   */
  watch(pid: number): Promise<ExitStatus> {
    if (!Number.isInteger(pid) || pid < 2)
      return Promise.reject(new RangeError(`${pid} is not the pid of a process that can be waited for`));
    if (this.#stopped) return Promise.reject(stopped(pid));
    if (this.#node.pids().has(pid))
      return Promise.reject(
        new Error(`process ${pid} is one that Node waits for: listen to its 'exit' event`),
      );
    const watched = this.#watches.get(pid);
    if (watched !== undefined) return watched.promise;
    const kept = this.#exits.get(pid);
    this.#exits.delete(pid);
    try {
      const exit = this.#ask(pid);
      // The kernel's answer comes before a kept one, which may belong to an earlier process of that pid.
      if (exit !== undefined) return Promise.resolve(exit);
    } catch (error) {
      if (hasCode(error, 'ECHILD')) {
        if (kept !== undefined) return Promise.resolve(kept);
        return Promise.reject(
          new Error(
            `process ${pid} is no child of this process: it was never ours, or its exit is not kept`,
            {
              cause: error,
            },
          ),
        );
      }
      return Promise.reject(error);
    }
    const watch = newWatch();
    this.#watches.set(pid, watch);
    return watch.promise;
  }

  /** Asks for every child now. SIGCHLD does this; several signals may arrive as one, so each sweep looks at all. */
  sweep(): void {
    const ofNode = this.#node.pids();
    for (const pid of new Set([...this.#children(), ...this.#watches.keys()])) {
      if (ofNode.has(pid)) continue;
      try {
        this.#reap(pid);
      } catch (error) {
        // A child cannot cease to be one but by waitpid: somebody else took the exit that is being waited for.
        this.#watches.get(pid)?.reject(new Error(`the exit of process ${pid} is lost`, { cause: error }));
        this.#watches.delete(pid);
        this.#onFault(error);
      }
    }
  }

  /** Without the list (no /proc yet, say) those who are watched are still asked for. */
  #children(): readonly number[] {
    try {
      return childProcesses(this.#proc, process.pid);
    } catch (error) {
      this.#onFault(error);
      return [];
    }
  }

  /** Stops waiting. Pending watches are rejected; exits from now on are nobody's. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    process.off('SIGCHLD', this.#onChild);
    this.#node.stop();
    for (const [pid, watch] of this.#watches) watch.reject(stopped(pid));
    this.#watches.clear();
    this.#exits.clear();
  }

  #reap(pid: number): void {
    const exit = this.#ask(pid);
    if (exit === undefined) return;
    const watch = this.#watches.get(pid);
    if (watch !== undefined) {
      this.#watches.delete(pid);
      watch.resolve(exit);
      return;
    }
    this.#exits.delete(pid);
    this.#exits.set(pid, exit);
    for (const oldest of this.#exits.keys()) {
      if (this.#exits.size <= this.#keep) break;
      this.#exits.delete(oldest);
    }
  }

  #ask(pid: number): ExitStatus | undefined {
    const waited = this.#syscalls.waitpid(pid, Wait.NoHang);
    return waited === undefined ? undefined : exitStatus(waited.status);
  }
}

function newWatch(): Watch {
  let resolve!: Watch['resolve'];
  let reject!: Watch['reject'];
  const promise = new Promise<ExitStatus>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function stopped(pid: number): Error {
  return new Error(`the reaper is stopped: nobody waits for process ${pid}`);
}
