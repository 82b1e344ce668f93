import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GuestError } from '../guest-error.js';
import { readIfThere } from '../read-if-there.js';
import { endCommand } from './end-command.js';
import { runtimeError } from './runtime-error.js';

/** Descriptors for a process's stdin, stdout and stderr; with a terminal, none: the runtime makes it. */
export type Stdio =
  | readonly [stdin: number, stdout: number, stderr: number]
  | { readonly consoleSocket: string };

/** No command of runc takes so long unless something is stuck. Those of a call have less: see `RuntimeCommands`. */
const COMMAND_TIMEOUT_MS = 60_000;

/** Only what runc needs to find its own helpers; nothing of the agent's environment goes to a hook or a container. */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/**
 * An OCI runtime as a program that is run, as of runc: `commands.ts` has its command lines. A failure is a GuestError in
 * the runtime's own words. Only descriptors 0 to 2 reach it (S12): every other one of this process is close-on-exec.
 */
export class Runtime {
  /** Undefined: none is installed, and every command says so. */
  readonly program: string | undefined;
  /** The runtime's own state. */
  readonly root: string;
  /** Short-lived files: those that are found at a start were left by an agent that was killed. */
  readonly scratch: string;
  #files = 0;

  /** Makes `<state>/runc` for the runtime and `<state>/run` for short-lived files. */
  constructor(program: string | undefined, state: string) {
    this.program = program;
    this.root = join(state, 'runc');
    this.scratch = join(state, 'run');
    for (const directory of [this.root, this.scratch]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Its path. Throws `precondition` when there is none. */
  installed(): string {
    if (this.program !== undefined) return this.program;
    throw new GuestError(
      'precondition',
      'there is no OCI runtime in this guest; install one: apt-get install runc',
    );
  }

  /** A name for a short-lived file below the state directory. Short, since a socket's path may have 107 bytes only. */
  scratchFile(kind: string): string {
    this.#files += 1;
    return join(this.scratch, `${kind}-${this.#files}`);
  }

  /** Runs a command that starts a process with this stdio; answers the process's pid. `signal` ends it, and what it began. */
  async launch(command: readonly string[], id: string, stdio: Stdio, signal?: AbortSignal): Promise<number> {
    const log = this.scratchFile('log');
    const pidFile = this.scratchFile('pid');
    const console = 'consoleSocket' in stdio ? ['--console-socket', stdio.consoleSocket] : [];
    const arguments_ = [...command, '--pid-file', pidFile, ...console, id];
    try {
      const child = this.#spawn(
        ['--log', log, '--log-format', 'json', ...arguments_],
        'consoleSocket' in stdio ? ['ignore', 'ignore', 'ignore'] : [...stdio],
      );
      const status = await ended(child, signal);
      // The process's stderr is the container's, so the runtime's own words go to a file.
      // Without a log it ended before it wrote a word: its exit status has to do.
      if (status !== undefined) throw runtimeError(command[0] ?? '', readIfThere(log) ?? '', status);
      return Number(readFileSync(pidFile, 'utf8'));
    } finally {
      rmSync(log, { force: true });
      rmSync(pidFile, { force: true });
    }
  }

  /** Runs a command, with `input` as its stdin; answers its stdout. */
  async run(
    command: readonly string[],
    { input, signal }: { readonly input?: string; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const child = this.#spawn(
      ['--log-format', 'json', ...command],
      [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    );
    child.stdin?.end(input);
    const [status, output, errors] = await Promise.all([
      ended(child, signal),
      text(child.stdout),
      text(child.stderr),
    ]);
    if (status !== undefined) throw runtimeError(command[0] ?? '', errors, status);
    return output;
  }

  #spawn(command: readonly string[], stdio: ('pipe' | 'ignore' | number)[]): ChildProcess {
    return spawn(this.installed(), ['--root', this.root, ...command], {
      stdio,
      env: environment,
      cwd: '/',
    });
  }
}

/** Undefined: it ended with 0. Otherwise how it ended, in words. Rejects with the signal's reason, once it is killed. */
async function ended(child: ChildProcess, signal?: AbortSignal): Promise<string | undefined> {
  const over = AbortSignal.timeout(COMMAND_TIMEOUT_MS);
  const given = signal === undefined ? over : AbortSignal.any([over, signal]);
  try {
    const [code, by]: (number | string | null)[] = await once(child, 'exit', { signal: given });
    if (code === 0) return undefined;
    return code === null ? `ended by ${by}` : `exit status ${code}`;
  } catch (error) {
    if (given.aborted) {
      await endCommand(child);
      signal?.throwIfAborted();
      throw new GuestError(
        'deadline',
        `the OCI runtime did not end within ${COMMAND_TIMEOUT_MS / 1000} seconds`,
      );
    }
    throw new GuestError('precondition', `the OCI runtime ${child.spawnfile} cannot be run`, {
      cause: error,
    });
  }
}

async function text(stream: Readable | null): Promise<string> {
  const chunks: Buffer[] = [];
  if (stream !== null) for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
