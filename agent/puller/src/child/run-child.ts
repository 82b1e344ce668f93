import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LayerError } from '../unpack/layer-error.js';
import type { ChildOptions } from './options.js';

/** An answer costs the agent time and memory. An image has a few for each encrypted layer. */
const maxQuestions = 1_000;

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
  // countUnusedBuffer
  '--expose-gc',
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

/** A message of a child, parsed. */
export type ChildOutcome<Result, Question = never> =
  | { readonly kind: 'progress' }
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'error'; readonly error: Error };

/** What the agent sends to a child, and how it reads what the child sends. */
interface Conversation<Result, Question = never> {
  /** What the process does, for messages: `unpacks the image`. */
  readonly verb: string;
  /** Each is sent as one line of JSON, when it comes. If there is an error in place of one, the work fails with it. */
  readonly requests: Iterable<unknown> | AsyncIterable<unknown>;
  /** Characters of a line that it sends. */
  readonly lineLength: number;
  /** Parses a line. Throws for one of no known form. */
  readonly parse: (line: string) => ChildOutcome<Result, Question>;
  /** Answers a question, as one line of JSON. If it rejects, the work fails with that error. */
  readonly answer?: (question: Question) => Promise<unknown>;
}

/** How a child's work ended. */
type Answer<Result> = Extract<ChildOutcome<Result>, { readonly kind: 'result' | 'error' }>;

/**
 * Sends the requests, reads messages until the socket closes, and returns the last answer. A child that was taken over asks one
 * question after the other, and reads the answers, or its work fails: the agent does other work between them.
 */
export async function converse<Result, Question>(
  socket: Duplex,
  { requests, parse, verb, lineLength, answer: answerTo }: Conversation<Result, Question>,
  onLine: () => void,
): Promise<Answer<Result> | undefined> {
  let answer: Answer<Result> | undefined;
  let unanswered: Error | undefined;
  let questions = 0;
  let waits = false;
  const reply = async (question: Question): Promise<void> => {
    if (answerTo === undefined || waits || questions >= maxQuestions)
      throw new LayerError('child', `the process that ${verb} asked ${strange(answerTo, waits)}`);
    questions += 1;
    waits = true;
    const written = socket.write(`${JSON.stringify(await answerTo(question))}\n`);
    if (!written) await once(socket, 'drain');
    waits = false;
  };
  const fail = (error: Error): void => {
    unanswered ??= error;
    socket.destroy();
  };
  socket.on('error', () => undefined);
  sendAll(socket, requests).catch(fail);
  try {
    for await (const line of lines(socket, lineLength, verb)) {
      onLine();
      const message = parse(line);
      if (message.kind === 'question') {
        // Its other messages are read meanwhile.
        reply(message.question).catch(fail);
      } else if (message.kind !== 'progress') answer = message;
    }
  } catch (error) {
    // A connection reset is the end of the process.
    if (error instanceof LayerError) answer = { kind: 'error', error };
  }
  return unanswered === undefined ? answer : { kind: 'error', error: unanswered };
}

async function sendAll(socket: Duplex, requests: Iterable<unknown> | AsyncIterable<unknown>): Promise<void> {
  for await (const request of requests) {
    if (socket.destroyed) return;
    socket.write(`${JSON.stringify(request)}\n`);
  }
}

function strange(answer: unknown, waits: boolean): string {
  if (answer === undefined) return 'a question';
  return waits ? 'a question before it had the answer to another one' : `more than ${maxQuestions} questions`;
}

async function* lines(socket: Duplex, lineLength: number, verb: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > lineLength || parts.some((part) => part.length > lineLength))
      throw new LayerError('child', `the process that ${verb} sent a line that is too long`);
    yield* parts;
  }
}
