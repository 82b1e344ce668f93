import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Duplex } from 'node:stream';
import { LayerError } from '../unpack/layer-error.js';
import type { ChildOptions } from './options.js';
import {
  checkRequest,
  lineLength,
  messageError,
  parseMessage,
  type UnpackProgress,
  type UnpackRequest,
  type UnpackResult,
} from './protocol.js';

/** An image to unpack in a process of its own. */
export interface ChildRequest extends UnpackRequest {
  /** Directory with the layers' verified blobs, and nothing else. */
  readonly blobs: string;
  /** An empty directory, which becomes the root file system. The caller removes it after an error. */
  readonly target: string;
}

/** Options for the process. */
export interface ChildSettings {
  /** Ends the process. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: UnpackProgress) => void;
  /** User and group of the process: no other process may have it. */
  readonly user?: number;
  /** Bytes of private memory. */
  readonly memory?: number;
  /** A process that sends nothing for so long is ended. */
  readonly silenceMilliseconds?: number;
  /** The program; by default the one of this package. */
  readonly program?: string;
}

/** Outside the ranges that systems and images give to users. */
const unpackUser = 2_113_929_217;
const MiB = 1024 * 1024;
/** Node.js 24 reserves 512 MiB for code, which count though they are not used. */
const memoryByDefault = 1024 * MiB;
/** The process starts Node.js twice. */
const startMilliseconds = 20_000;
const errorOutputLength = 4096;
/** Without memory Node.js may wait for ever instead of ending. */
const silenceByDefault = 30_000;
/** `--max-old-space-size` in MiB bounds V8's heap; buffers lie outside. */
const nodeOptions: readonly string[] = [
  '--max-old-space-size=96',
  '--max-semi-space-size=2',
  '--no-warnings',
];
const environment: readonly string[] = [
  'LANG=C',
  'UV_THREADPOOL_SIZE=1',
  'UV_USE_IO_URING=0',
  'MALLOC_ARENA_MAX=1',
];

/**
 * Unpacks an image's layers in a process that has nothing but the blobs and the target (docs/adr/0063-unpacking-layers.md). Resolves
 * when the process has ended. Throws a LayerError; the abort's reason if `signal` aborted it.
 */
export async function runUnpackChild(
  request: ChildRequest,
  settings: ChildSettings = {},
): Promise<UnpackResult> {
  const { limits, layers } = request;
  checkRequest(request);
  settings.signal?.throwIfAborted();
  const child = start(request, settings);
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, limits.milliseconds + startMilliseconds);
  const silence = setTimeout(kill, settings.silenceMilliseconds ?? silenceByDefault);
  settings.signal?.addEventListener('abort', kill);
  try {
    const ended = exitOf(child);
    const answer = await converse(
      child,
      { layers, limits },
      { ...settings, onLine: () => void silence.refresh() },
    );
    const how = await ended;
    settings.signal?.throwIfAborted();
    if (answer.result !== undefined) return answer.result;
    throw answer.error ?? new LayerError('child', `the process that unpacks the image ended with ${how}`);
  } finally {
    kill();
    clearTimeout(timer);
    clearTimeout(silence);
    settings.signal?.removeEventListener('abort', kill);
  }
}

function start({ blobs, target, limits }: ChildRequest, settings: ChildSettings): ChildProcess {
  const program = settings.program ?? unpackProgram();
  const options: ChildOptions = {
    blobs,
    target,
    user: settings.user ?? unpackUser,
    memory: settings.memory ?? memoryByDefault,
    cpuSeconds: Math.ceil((limits.milliseconds + startMilliseconds) / 1000) * 2,
    fileSize: limits.bytes,
    programDirectory: programDirectory(program),
    environment,
  };
  return spawn(process.execPath, [...nodeOptions, program, 'confine', JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(environment.map((each) => each.split('=', 2) as [string, string])),
    cwd: '/',
  });
}

/** Beside this module, or in a bundle, whose directory has koffi too. */
function unpackProgram(): string {
  const beside = fileURLToPath(new URL('main.js', import.meta.url));
  return existsSync(beside) ? beside : join(programDirectory(beside), 'kata-agent-unpack.mjs');
}

/** The nearest directory above the program that has koffi. */
function programDirectory(program: string): string {
  for (let path = dirname(program); path !== '/'; path = dirname(path)) {
    if (existsSync(join(path, 'node_modules', 'koffi'))) return path;
  }
  throw new Error(`no directory above ${program} has node_modules/koffi\nhelp: install the agent again`);
}

/** Resolves with how the process ended, and with what it printed. */
function exitOf(child: ChildProcess): Promise<string> {
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (errors.length < errorOutputLength) errors += chunk;
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      const output = errors === '' ? '' : `: ${JSON.stringify(errors.slice(0, errorOutputLength))}`;
      resolve(`${signal ?? `exit code ${code}`}${output}`);
    });
  });
}

interface Answer {
  readonly result?: UnpackResult;
  readonly error?: unknown;
}

/** Sends the request, reads messages until the socket closes, and returns the last answer. */
async function converse(
  child: ChildProcess,
  request: UnpackRequest,
  { onProgress, onLine }: Pick<ChildSettings, 'onProgress'> & { readonly onLine: () => void },
): Promise<Answer> {
  const socket = child.stdio[3];
  if (!(socket instanceof Duplex)) return {};
  let answer: Answer = {};
  socket.on('error', () => undefined);
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    for await (const line of lines(socket)) {
      onLine();
      const message = parseMessage(line);
      if (message.kind === 'progress') onProgress?.(message.progress);
      else if (message.kind === 'result') answer = { result: message.result };
      else answer = { error: messageError(message) };
    }
  } catch (error) {
    // A connection reset is the end of the process.
    if (error instanceof LayerError) answer = { error };
  }
  child.kill('SIGKILL');
  return answer;
}

async function* lines(socket: Duplex): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > lineLength || parts.some((part) => part.length > lineLength))
      throw new LayerError('child', 'the process that unpacks the image sent a line that is too long');
    yield* parts;
  }
}
