import { searchPath } from '@kata-agent/linux';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GuestError } from '../error/guest-error.js';
import { readIfThere } from '@kata-agent/base';
import { endCommand } from './end-command.js';
import { type KnownRuntime, knownRuntime } from './known-runtimes.js';
import { runtimeError } from './runtime-error.js';

/** Descriptors for a process's stdin, stdout and stderr; none with a terminal, which the runtime creates. */
export type Stdio =
  | readonly [stdin: number, stdout: number, stderr: number]
  | { readonly consoleSocket: string };

/**
 * Longer than any command of the runtime takes unless it hangs. Commands of a call have lower limits: see `RuntimeCommands`.
 */
const COMMAND_TIMEOUT_MS = 60_000;

/** Only what a runtime needs to find its own helpers; nothing of the agent's environment reaches a hook or a container. */
const environment = { PATH: searchPath };

/**
 * Runs an OCI runtime, runc or crun, as a program; `commands.ts` has its command lines. A failure is a GuestError with
 * the runtime's message. The runtime inherits descriptors 0 to 2 only (S12): every other one of this process is
 * close-on-exec.
 */
export class Runtime {
  /** Undefined: none is installed, and every command fails. */
  readonly program: string | undefined;
  /** The properties of the program, by its name. */
  readonly known: KnownRuntime;
  /** The runtime's own state. */
  readonly root: string;
  /** Temporary files: those found at start are from an agent that was killed. */
  readonly scratch: string;
  #files = 0;

  /** Creates `<state>/NAME` for the runtime, as `<state>/runc`, and `<state>/run` for temporary files. */
  constructor(program: string | undefined, state: string) {
    this.program = program;
    this.known = knownRuntime(program ?? '');
    this.root = join(state, this.known.name);
    this.scratch = join(state, 'run');
    for (const directory of [this.root, this.scratch]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Returns the runtime's path. Throws `precondition` if none is installed. */
  installed(): string {
    if (this.program !== undefined) return this.program;
    throw new GuestError(
      'precondition',
      'there is no OCI runtime in this guest; help: install one (apt-get install runc)',
    );
  }

  /**
   * Returns the path of a temporary file or directory in the state directory. Short, because a socket's path is limited to 107
   * bytes.
   */
  scratchFile(kind: string): string {
    this.#files += 1;
    return join(this.scratch, `${kind}-${this.#files}`);
  }

  /**
   * Runs a command that starts a process with this stdio; returns the process's pid. `signal` kills the command and its
   * children. `options`: those of the runtime, before the command.
   */
  async launch(
    command: readonly string[],
    id: string,
    stdio: Stdio,
    {
      signal,
      options = [],
    }: { readonly signal?: AbortSignal | undefined; readonly options?: readonly string[] } = {},
  ): Promise<number> {
    // A directory of its own: runc writes the pid to a file beside it first, which stays if runc is killed then.
    const directory = this.scratchFile(command[0] ?? '');
    mkdirSync(directory, { mode: 0o700 });
    const log = join(directory, 'log');
    const pidFile = join(directory, 'pid');
    const console = 'consoleSocket' in stdio ? ['--console-socket', stdio.consoleSocket] : [];
    const arguments_ = [...command, '--pid-file', pidFile, ...console, id];
    try {
      const child = this.#spawn(
        [...options, '--log', log, '--log-format', 'json', ...arguments_],
        'consoleSocket' in stdio ? ['ignore', 'ignore', 'ignore'] : [...stdio],
      );
      const status = await ended(child, signal);
      // stderr is the container's, so the runtime logs to a file. If it ended before it wrote to the log, only the
      // exit status is known.
      if (status !== undefined)
        throw runtimeError(this.known, command[0] ?? '', readIfThere(log)?.toString() ?? '', status);
      return Number(readFileSync(pidFile, 'utf8'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** Runs a command; returns its stdout. */
  async run(
    command: readonly string[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const child = this.#spawn(['--log-format', 'json', ...command], ['ignore', 'pipe', 'pipe']);
    const [status, output, errors] = await Promise.all([
      ended(child, signal),
      text(child.stdout),
      text(child.stderr),
    ]);
    if (status !== undefined) throw runtimeError(this.known, command[0] ?? '', errors, status);
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

/**
 * Returns undefined for exit status 0, otherwise a description of the status. Rejects with the signal's reason after
 * the kill.
 */
async function ended(child: ChildProcess, signal?: AbortSignal): Promise<string | undefined> {
  const over = AbortSignal.timeout(COMMAND_TIMEOUT_MS);
  const either = signal === undefined ? over : AbortSignal.any([over, signal]);
  try {
    const [code, by]: (number | string | null)[] = await once(child, 'exit', { signal: either });
    if (code === 0) return undefined;
    return code === null ? `ended by ${by}` : `exit status ${code}`;
  } catch (error) {
    if (either.aborted) {
      await endCommand(child);
      signal?.throwIfAborted();
      throw new GuestError(
        'deadline',
        `the OCI runtime did not end within ${COMMAND_TIMEOUT_MS / 1000} seconds`,
      );
    }
    throw new GuestError(
      'precondition',
      `the OCI runtime ${child.spawnfile} cannot be run; help: install it there, or set oci_runtime to another`,
      {
        cause: error,
      },
    );
  }
}

async function text(stream: Readable | null): Promise<string> {
  const chunks: Buffer[] = [];
  if (stream !== null) for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
