import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LayerError } from '../unpack/layer-error.js';
import { type Conversation, converse } from './converse.js';
import type { ChildOptions } from './options.js';

/** What a child does. */
export interface ChildWork<Result, Question = never> extends StartedWork, Conversation<Result, Question> {}

/** What a process is started for. */
export interface StartedWork extends Pick<ChildOptions, 'task' | 'fileSize'> {
  readonly milliseconds: number;
  /** `UV_THREADPOOL_SIZE`. */
  readonly threads: number;
}

/** Options for the process. */
export interface ChildSettings {
  /** Ends the process. */
  readonly signal?: AbortSignal;
  /** User and group of the process: no other process may have it. */
  readonly user?: number;
  /** Bytes of private memory. */
  readonly memory?: number;
  /** A process that sends nothing for so long is ended. */
  readonly silenceMilliseconds?: number;
}

/** Users outside the ranges that systems and images give to users; no process can reach another one. */
export const childUsers = { unpack: 2_113_929_217, pull: 2_113_929_218, pack: 2_113_929_219 } as const;
const MiB = 1024 * 1024;
/** Node.js 24 reserves 512 MiB for code, which count though they are not used. */
const memoryByDefault = 1024 * MiB;
/** The process starts Node.js twice. */
export const startMilliseconds = 20_000;
const errorOutputLength = 4096;
/** Without memory Node.js may wait for ever instead of ending. */
const silenceByDefault = 30_000;
/** `--max-old-space-size` in MiB bounds V8's heap; buffers lie outside. */
const nodeOptions: readonly string[] = [
  '--max-old-space-size=96',
  '--max-semi-space-size=2',
  '--no-warnings',
];

/** Runs a child to its end. Throws its error, a LayerError if there is none, and the abort's reason if `signal` aborted it. */
export async function runChild<Result, Question = never>(
  work: ChildWork<Result, Question>,
  settings: ChildSettings,
): Promise<Result> {
  settings.signal?.throwIfAborted();
  const child = startChild(work, settings);
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, work.milliseconds + startMilliseconds);
  const silence = setTimeout(kill, settings.silenceMilliseconds ?? silenceByDefault);
  settings.signal?.addEventListener('abort', kill);
  try {
    const ended = exitOf(child);
    const socket = child.stdio[3];
    const answer =
      socket instanceof Duplex ? await converse(socket, work, () => void silence.refresh()) : undefined;
    kill();
    const { how } = await ended;
    settings.signal?.throwIfAborted();
    if (answer?.kind === 'result') return answer.result;
    throw answer?.error ?? new LayerError('child', `the process that ${work.verb} ended with ${how}`);
  } finally {
    kill();
    clearTimeout(timer);
    clearTimeout(silence);
    settings.signal?.removeEventListener('abort', kill);
  }
}

/** Starts a process that confines itself before it does its work. */
export function startChild(
  { task, fileSize, milliseconds, threads }: StartedWork,
  { user = childUsers[task.name], memory = memoryByDefault }: ChildSettings,
): ChildProcess {
  const program = childProgram();
  const environment = ['LANG=C', `UV_THREADPOOL_SIZE=${threads}`, 'UV_USE_IO_URING=0', 'MALLOC_ARENA_MAX=1'];
  const options: ChildOptions = {
    task,
    user,
    memory,
    cpuSeconds: Math.ceil((milliseconds + startMilliseconds) / 1000) * 2,
    fileSize,
    parent: process.pid,
    programDirectory: programDirectory(program),
    environment,
  };
  return spawn(process.execPath, [...nodeOptions, program, 'confine', JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(environment.map((each) => each.split('=', 2) as [string, string])),
    cwd: '/',
  });
}

/** Returns the path of the program: beside this module, or in a bundle, whose directory has koffi too. Throws if it is missing. */
export function childProgram(): string {
  const beside = fileURLToPath(new URL('main.js', import.meta.url));
  if (existsSync(beside)) return beside;
  const bundled = join(programDirectory(beside), 'kata-agent-image.mjs');
  if (existsSync(bundled)) return bundled;
  throw new Error(`${bundled}, the program that pulls and unpacks images, is missing`);
}

/** The nearest directory above the program that has koffi. */
function programDirectory(program: string): string {
  for (let path = dirname(program); path !== '/'; path = dirname(path)) {
    if (existsSync(join(path, 'node_modules', 'koffi'))) return path;
  }
  throw new Error(`no directory above ${program} has node_modules/koffi\nhelp: install the agent again`);
}

/** How a process ended. */
export interface ChildEnd {
  /** Null: it was killed, or could not be started. */
  readonly code: number | null;
  /** For messages, with what it printed. */
  readonly how: string;
}

export function exitOf(child: ChildProcess): Promise<ChildEnd> {
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (errors.length < errorOutputLength) errors += chunk;
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, how: error.message }));
    child.once('close', (code, signal) => {
      const output = errors === '' ? '' : `: ${JSON.stringify(errors.slice(0, errorOutputLength))}`;
      resolve({ code, how: `${signal ?? `exit code ${code}`}${output}` });
    });
  });
}
