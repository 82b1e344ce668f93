import { renderDiagnostic } from '@kata-agent/config';
import type { Configuration, Diagnostic } from '@kata-agent/config';
import { hasCode, loadSyscalls } from '@kata-agent/linux';
import { CannotApply } from './cannot-apply.js';
import { type CommandLine, CommandLineEnd, parseCommandLine } from './startup/command-line.js';
import type { DevelopmentFlags } from './startup/development-flags.js';
import { notifyReady } from './init/notify.js';
import { powerOff } from './init/first-process.js';
import { load } from './startup/load.js';
import { createLog, type Log, logLevel } from './log.js';
import { LogStream } from './side-channels/log-stream.js';
import { Stopped } from './startup/shutdown.js';
import { startAgent } from './start.js';
import { onStopSignal } from './stop-signals.js';
import { version } from './version.js';

/** The exit codes of docs/configuration.md, "Errors". */
const exitCode = { success: 0, wrongConfiguration: 1, cannotApply: 3 } as const;

/** Whether the kernel or a container runtime started the agent directly. */
const isFirstProcess = process.pid === 1;

function printDiagnostics(diagnostics: readonly Diagnostic[]): void {
  const color = process.stderr.isTTY && process.env['NO_COLOR'] === undefined;
  for (const diagnostic of diagnostics) process.stderr.write(`${renderDiagnostic(diagnostic, { color })}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** EPIPE is not an error: the reader has enough. Any other write error is. */
function endWithoutReader(error: Error): void {
  if (hasCode(error, 'EPIPE')) return;
  process.stderr.write(`kata-agent: standard output: ${error.message}\n`);
  process.exit(exitCode.wrongConfiguration);
}

/** How long a peer may take to read its last replies at the end. */
const drainTimeoutMs = 2_000;

/**
 * Ends the process when nothing is open any more. A peer that does not close its connection must not delay the process,
 * or the machine.
 */
function endWithoutPeers(): void {
  setTimeout(() => process.exit(), drainTimeoutMs).unref();
}

async function serve(configuration: Configuration, flags: DevelopmentFlags): Promise<number> {
  // Nothing has been set up yet that would need cleanup.
  onStopSignal(() => process.exit(exitCode.success));
  // The reader of the log is gone: log lines may be lost, and the agent continues.
  process.stderr.on('error', () => undefined);
  const logStream = new LogStream();
  const log = createLog({
    level: logLevel(configuration.settings.logLevel),
    version,
    write: (line) => {
      process.stderr.write(line);
      logStream.write(line);
    },
  });
  try {
    const syscalls = loadSyscalls();
    let stopped = false;
    const onStop = (end: (reason: string) => void): void =>
      onStopSignal((signal) => {
        stopped = true;
        end(signal);
      });
    const agent = await startAgent(configuration, {
      syscalls,
      log,
      logStream,
      isFirstProcess,
      flags,
      onStop,
    });
    logUncaughtErrors(log);
    const { onEnd } = configuration.settings;
    if (isFirstProcess && onEnd === 'exit') log('warn', 'PID 1 cannot exit: on_end = "exit" powers off');
    notifyReady(syscalls);
    await agent.ended;
    // PID 1 powers off however it ends; stopping the agent under another init must not stop the machine.
    if (!isFirstProcess && onEnd === 'power-off' && !stopped) powerOff(syscalls, 'the sandbox has ended');
    return exitCode.success;
  } catch (error) {
    if (error instanceof Stopped) return exitCode.success;
    if (!(error instanceof CannotApply)) throw error;
    log('fatal', error.help === undefined ? error.message : `${error.message}\nhelp: ${error.help}`);
    return exitCode.cannotApply;
  } finally {
    endWithoutPeers();
  }
}

/** docs/adr/restarts.md, "Uncaught exceptions": a fault outside every handler costs a log line, not the pod. */
function logUncaughtErrors(log: Log): void {
  const report = (error: unknown) =>
    log('fatal', 'fault outside a handler', {
      stack: error instanceof Error ? (error.stack ?? '') : String(error),
    });
  process.on('uncaughtException', report);
  process.on('unhandledRejection', report);
}

async function run(line: CommandLine): Promise<number> {
  const loaded = await load(line);
  if (!loaded.ok) {
    if (line.format === 'json') print(JSON.stringify({ ok: false, diagnostics: loaded.diagnostics }));
    else printDiagnostics(loaded.diagnostics);
    return loaded.exitCode;
  }
  const { configuration } = loaded;
  if (line.task === 'serve') return serve(configuration, line);
  if (line.format === 'text') printDiagnostics(configuration.warnings);
  if (line.task === 'explain') {
    const { explanationText } = await import('./startup/explanation.js');
    print(explanationText(configuration, line.format));
  } else if (line.format === 'json') {
    // As in kata-agent-ctl config check.
    print(JSON.stringify({ ok: true, digest: configuration.digest, diagnostics: configuration.warnings }));
  } else {
    print(`configuration is valid; digest: ${configuration.digest}`);
  }
  return exitCode.success;
}

/** Runs the program once PID 1's guest is `ready`; returns its exit code. */
export async function runProgram(argv: readonly string[], ready: Promise<void>): Promise<number> {
  process.stdout.on('error', endWithoutReader);
  try {
    const line = parseCommandLine(argv);
    await ready;
    return await run(line);
  } catch (error) {
    if (error instanceof CommandLineEnd) return error.exitCode;
    process.stderr.write(
      `kata-agent: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return exitCode.wrongConfiguration;
  }
}
