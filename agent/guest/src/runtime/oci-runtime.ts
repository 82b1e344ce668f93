import {
  type ExitStatus,
  hasCode,
  type ProgramStart,
  processStat,
  type Reaper,
  searchPath,
  type StartedProgram,
} from '@kata-agent/linux';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestError, type GuestErrorKind } from '../guest-error.js';
import { readIfThere } from '@kata-agent/base';
import { type KnownRuntime, knownRuntime, knownRuntimes } from './known-runtimes.js';

/** The runtime cleans up after a killed child, unless it is stuck itself. */
const cleanUpMs = 500;

/** A process in uninterruptible sleep, as when a file system does not respond, is left behind after that. */
const dyingMs = 2_000;

/** Descriptors for a process's stdin, stdout and stderr; none with a terminal, which the runtime creates. */
export type Stdio =
  | readonly [stdin: number, stdout: number, stderr: number]
  | { readonly consoleSocket: string };

/**
 * Longer than any command of the runtime takes unless it hangs. Commands of a call have lower limits: see `RunningCommands`.
 */
const COMMAND_TIMEOUT_MS = 60_000;

/** Only what a runtime needs to find its own helpers; nothing of the agent's environment reaches a hook or a container. */
const environment = { PATH: searchPath };

/**
 * Runs an OCI runtime, runc or crun, as a program; `command-lines.ts` has its command lines. A failure is a GuestError with
 * the runtime's message. The runtime inherits descriptors 0 to 2 only (S12): every other one of this process is
 * close-on-exec.
 */
export class OciRuntime {
  /** Undefined: none is installed, and every command fails. */
  readonly program: string | undefined;
  /** The properties of the program, by its name. */
  readonly known: KnownRuntime;
  /** The runtime's own state. */
  readonly root: string;
  /** Temporary files: those found at start are from an agent that was killed. */
  readonly scratch: string;
  readonly #reaper: Reaper;
  #files = 0;

  /** Creates `<state>/NAME` for the runtime, as `<state>/runc`, and `<state>/run` for temporary files. */
  constructor(program: string | undefined, state: string, reaper: Reaper) {
    this.program = program;
    this.#reaper = reaper;
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
      const status = await this.#run(
        [...options, '--log', log, '--log-format', 'json', ...arguments_],
        'consoleSocket' in stdio ? [undefined, undefined, undefined] : stdio,
        signal,
      );
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
    const output = this.#openOutput();
    try {
      const errors = this.#openOutput();
      try {
        const words = ['--log-format', 'json', ...command];
        const status = await this.#run(words, [undefined, output, errors], signal);
        if (status !== undefined) throw runtimeError(this.known, command[0] ?? '', contentOf(errors), status);
        return contentOf(output);
      } finally {
        closeSync(errors);
      }
    } finally {
      closeSync(output);
    }
  }

  /** Opens a file without a name. Unlike a pipe, it has no end that a hook's own process could hold open. */
  #openOutput(): number {
    const path = this.scratchFile('output');
    const descriptor = openSync(path, 'wx+', 0o600);
    rmSync(path);
    return descriptor;
  }

  /**
   * Returns undefined for exit status 0, otherwise a description of the status. Rejects with the signal's reason after
   * the kill.
   */
  async #run(
    command: readonly string[],
    stdio: ProgramStart['stdio'],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const started = this.#start({
      program: this.installed(),
      arguments: ['--root', this.root, ...command],
      environment,
      directory: '/',
      stdio,
    });
    const status = await exitWithin(started.exit, COMMAND_TIMEOUT_MS, signal);
    if (status !== undefined) return describe(status);
    await endCommand(started);
    signal?.throwIfAborted();
    throw new GuestError(
      'deadline',
      `the OCI runtime did not end within ${COMMAND_TIMEOUT_MS / 1000} seconds`,
    );
  }

  #start(program: ProgramStart): StartedProgram {
    try {
      return this.#reaper.start(program);
    } catch (error) {
      throw new GuestError(
        'precondition',
        `the OCI runtime ${program.program} cannot be run; help: install it there, or set oci_runtime to another`,
        { cause: error },
      );
    }
  }
}

/** Returns a file's content from its start: the descriptor's offset is where the program has written last. */
function contentOf(descriptor: number): string {
  const content = Buffer.alloc(fstatSync(descriptor).size);
  return content.toString('utf8', 0, readSync(descriptor, content, 0, content.length, 0));
}

/** Returns a program's exit; undefined: it has not ended within that time, or before the signal was aborted. */
async function exitWithin(
  exit: Promise<ExitStatus>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<ExitStatus | undefined> {
  const over = new AbortController();
  const giveUp = (): void => over.abort();
  signal?.addEventListener('abort', giveUp);
  if (signal?.aborted === true) giveUp();
  try {
    return await Promise.race([
      exit,
      delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined),
    ]);
  } finally {
    signal?.removeEventListener('abort', giveUp);
    giveUp();
  }
}

function describe({ code, signal }: ExitStatus): string | undefined {
  if (signal === undefined) return code === 0 ? undefined : `exit status ${code}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return `ended by ${name ?? `signal ${signal}`}`;
}

/**
 * Kills a command of the runtime that hangs: first its children, then, if it still runs, the command. Most often a
 * child hangs that is in the container already, and it would otherwise stay there. With crun it is a child of this process:
 * the one between it and the command has ended.
 */
async function endCommand({ pid, exit, isOver }: StartedProgram): Promise<void> {
  if (isOver()) return;
  const commandLine = commandLineOf(pid);
  if (killDescendants(pid, commandLine) && (await exitWithin(exit, cleanUpMs)) !== undefined) return;
  if (isOver()) return;
  killDescendants(pid, commandLine);
  kill(pid);
  await exitWithin(exit, dyingMs);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/**
 * Reports whether there were any. A process is killed right after it is listed: its pid can be reused only if its parent waits
 * for it in between.
 */
function killDescendants(pid: number, commandLine: string): boolean {
  const orphans = childrenOf(process.pid).filter(
    (each) => each !== pid && isOwn(commandLine) && commandLineOf(each) === commandLine,
  );
  const found = [...orphans, ...[pid, ...orphans].flatMap(descendantsOf)];
  for (const each of found) {
    kill(each);
  }
  return found.length > 0;
}

/**
 * A fork without an exec keeps the command line. That of create and exec has a pid file that no other command has; another
 * command may run twice at the same time.
 */
function isOwn(commandLine: string): boolean {
  return commandLine.includes('\0--pid-file\0');
}

/** Empty: the process has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
    return '';
  }
}

function descendantsOf(pid: number): readonly number[] {
  const found: number[] = [];
  for (let above: readonly number[] = [pid]; above.length > 0; ) {
    above = above.flatMap(childrenOf);
    found.push(...above);
  }
  return found;
}

function childrenOf(pid: number): readonly number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const lists = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'));
    return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
    // The process has ended, or the kernel has no such list (CONFIG_PROC_CHILDREN).
    return readdirSync('/proc')
      .map(Number)
      .filter((each) => Number.isInteger(each) && processStat(each)?.parent === pid);
  }
}

/**
 * Converts a failure of the runtime to a GuestError: its message, and the kind that follows from it. No other code
 * parses a runtime's messages. A process that has ended, or a program that does not exist, is reported in the words of
 * Kata's agent.
 */
export function runtimeError(
  runtime: KnownRuntime,
  command: string,
  output: string,
  status: string,
): GuestError {
  const message = lastError(output) ?? status;
  // The others' messages too: a program of another name may be any of them.
  const known = [runtime, ...knownRuntimes].flatMap(({ messages }) => messages);
  const [, kind, remedy] = known.find(([pattern]) => pattern.test(message)) ?? [undefined, 'internal'];
  const help = remedy === undefined ? '' : `; help: ${remedy}`;
  return new GuestError(kind, `${wordsOfKata(kind, message)}${runtime.name} ${command}: ${message}${help}`);
}

/** Returns the words with which Kata's agent reports the same failure, for its clients and tests; empty: none. */
function wordsOfKata(kind: GuestErrorKind, message: string): string {
  if (kind === 'not-found') return 'ESRCH: No such process: ';
  for (const { missingProgram } of knownRuntimes) {
    const program = missingProgram.exec(message)?.[1];
    if (program !== undefined) return `the file ${program} was not found: `;
  }
  return '';
}

/** Returns the last entry of level error or fatal in the runtime's JSON log; else its last line of plain text. */
function lastError(output: string): string | undefined {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const entries = lines.map(logEntry).filter((entry) => entry !== undefined);
  const worst = entries.findLast(({ level }) => level === 'error' || level === 'fatal') ?? entries.at(-1);
  return worst?.msg ?? lines.at(-1);
}

function logEntry(line: string): { readonly level: string; readonly msg: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { level, msg }: { level?: unknown; msg?: unknown } = JSON.parse(line);
    return typeof level === 'string' && typeof msg === 'string' ? { level, msg } : undefined;
  } catch {
    // An incomplete line: its text is still the best message available.
    return undefined;
  }
}

/**
 * Returns the ids of the containers in a runtime's state directory; none if it does not exist. crun has a cache of seccomp
 * filters beside them, `.cache`; no id begins with a dot.
 */
export function containersIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
