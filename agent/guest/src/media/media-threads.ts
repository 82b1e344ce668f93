import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { pipeCalls, type Syscalls, TaskFailure, type TaskThreadLimits, TaskThreads } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import { GuestError } from '../guest-error.js';
import type { HostMedia, MediaTasks } from './host-media.js';
import { decodeError, type SentError } from './task-errors.js';

/** The name of the program in a bundle, beside the agent. */
const bundledProgram = 'kata-agent-media.mjs';

/**
 * A call that the host does not answer fails after 20 seconds: later than a slow disk answers, and before the runtimes give up on
 * the call (Kata 4.1, `create_container_timeout`: 60). One that is answered step by step, such as giving a volume of many files to a
 * group, may take as long as those who have such volumes set that time-out to; a disk can have more paths than anybody can walk.
 */
const defaultLimits: TaskThreadLimits = {
  running: 4,
  hanging: 8,
  slowMilliseconds: 1_000,
  milliseconds: 20_000,
  longestMilliseconds: 600_000,
};

interface Parts {
  readonly syscalls: Syscalls;
  readonly log: GuestLog;
  readonly limits?: Partial<TaskThreadLimits> | undefined;
}

/** Runs tasks in threads, which are left if the host does not answer. */
export class MediaThreads implements HostMedia {
  readonly #threads: TaskThreads;

  constructor({ syscalls, log, limits }: Parts) {
    this.#threads = new TaskThreads({
      program: mediaProgram,
      limits: { ...defaultLimits, ...limits },
      syscalls,
      decode: (sent) => decodeError(sent as SentError),
      report: (message) => log('warn', message),
      changes: changedBy,
    });
    // Node.js would wait for the threads that hang, its own and those of its pool.
    process.on('exit', (code) => {
      if (this.hanging > 0 || pipeCalls.running > 0) syscalls.exitNow(code);
    });
  }

  get hanging(): number {
    return this.#threads.hanging;
  }

  prepare(): Promise<void> {
    return this.#threads.prepare();
  }

  /** Resolves when no thread is left but one without work. */
  settle(): Promise<void> {
    return this.#threads.settle();
  }

  run: HostMedia['run'] = async (name, args, lent, bytes) => {
    try {
      return (await this.#threads.run(name, args, lent, bytes)) as never;
    } catch (error) {
      throw error instanceof TaskFailure ? explained(error) : error;
    }
  };
}

/** Tasks that mount at a place, or create it. */
const placed: ReadonlySet<string> = new Set<keyof MediaTasks>([
  'mountDirectory',
  'bindPlace',
  'openPlace',
  'openFilePlace',
  'makeDirectories',
  'copyPodSource',
]);

/** Tasks that change the network: one that comes late restores what it found. */
const ofNetwork: ReadonlySet<string> = new Set<keyof MediaTasks>([
  'configureLink',
  'setRoutes',
  'setNeighbours',
  'keepLocal',
]);

/**
 * Returns the mount point, the file or other state that a task changes; undefined: none. A mount that comes late would cover another one there, or be
 * covered by it, and its release would unmount the wrong one. Pieces of a file are written to the same file, whichever call sends them.
 */
function changedBy(name: string, args: unknown): string | undefined {
  const { place, target, copy } = args as {
    readonly place?: string;
    readonly target?: string;
    readonly copy?: { readonly path: string };
  };
  if (ofNetwork.has(name)) return 'the network';
  if (copy !== undefined) return copy.path;
  if (name === 'mount') return target;
  return placed.has(name) ? place : undefined;
}

function explained(error: TaskFailure): GuestError {
  const { reason, message } = error;
  const help =
    reason === 'late'
      ? 'help: look at what serves the share, the disk or the network on the host'
      : 'help: repeat the call when the host answers again';
  const kind = reason === 'late' ? 'deadline' : reason === 'full' ? 'exhausted' : 'internal';
  return new GuestError(kind, `${message}; ${help}`, { cause: error });
}

/** Returns the program of threads and processes for media of the host: in the package, or in a bundle beside the agent. */
export function mediaProgram(): URL {
  const ofPackage = new URL('../media-thread/thread.js', import.meta.url);
  if (existsSync(fileURLToPath(ofPackage))) return ofPackage;
  for (let path = dirname(fileURLToPath(import.meta.url)); ; path = dirname(path)) {
    const bundled = join(path, bundledProgram);
    if (existsSync(bundled)) return pathToFileURL(bundled);
    if (path === '/')
      throw new Error(`${bundledProgram} is missing beside the agent; help: install the agent again`);
  }
}
