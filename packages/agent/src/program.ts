import { explainConfiguration, renderDiagnostic, renderExplanation } from '@kata-agent/config';
import type { Configuration, Diagnostic } from '@kata-agent/config';
import { hasCode, loadSyscalls } from '@kata-agent/linux';
import { agentGate } from './agent-gate.js';
import { CannotApply } from './cannot-apply.js';
import { type CommandLine, CommandLineEnd, parseCommandLine } from './command-line.js';
import type { DevelopmentFlags } from './development-flags.js';
import { notifyReady } from './init/notify.js';
import { powerOff } from './init/power-off.js';
import { load } from './load.js';
import { createLog, type Log, logLevel } from './log.js';
import { LogStream } from './log-stream/log-stream.js';
import { Stopped } from './ending.js';
import { startAgent } from './start.js';
import { onStopSignal } from './stop-signals.js';
import { version } from './version.js';

/** The exit codes of docs/configuration.md, "Errors". */
const exitCode = { fine: 0, wrongConfiguration: 1, cannotApply: 3 } as const;

/** Nobody was there before us: the kernel, or a runtime of containers, started the agent itself. */
const isFirstProcess = process.pid === 1;

function printDiagnostics(diagnostics: readonly Diagnostic[]): void {
  const color = process.stderr.isTTY && process.env['NO_COLOR'] === undefined;
  for (const diagnostic of diagnostics) process.stderr.write(`${renderDiagnostic(diagnostic, { color })}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Whoever stopped reading what is printed needs no more of it; what cannot be written for another reason is an error. */
function endWithoutReader(error: Error): void {
  if (hasCode(error, 'EPIPE')) return;
  process.stderr.write(`kata-agent: standard output: ${error.message}\n`);
  process.exit(exitCode.wrongConfiguration);
}

/** How long a peer may take to read what it was sent last, once all has ended. */
const farewellMs = 2_000;

/** All has ended, and the process does when nothing is open any more. Who does not hang up must not keep it, or the machine. */
function endWithoutPeers(): void {
  setTimeout(() => process.exit(), farewellMs).unref();
}

async function serve(configuration: Configuration, flags: DevelopmentFlags): Promise<number> {
  // Nothing has been made yet that would have to be taken back.
  onStopSignal(() => process.exit(exitCode.fine));
  // Who read the log has gone: it may be lost, and the agent goes on.
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
    goOnAfterFaults(log);
    const { onEnd } = configuration.settings;
    if (isFirstProcess && onEnd === 'exit') log('warn', 'PID 1 cannot exit: on_end = "exit" powers off');
    notifyReady(syscalls);
    await agent.ended;
    // PID 1 powers off however it ends; who stops the agent under another init does not mean the machine.
    if (!isFirstProcess && onEnd === 'power-off' && !stopped) powerOff(syscalls, 'the sandbox has ended');
    return exitCode.fine;
  } catch (error) {
    if (error instanceof Stopped) return exitCode.fine;
    if (!(error instanceof CannotApply)) throw error;
    log('fatal', error.help === undefined ? error.message : `${error.message}\nhelp: ${error.help}`);
    return exitCode.cannotApply;
  } finally {
    endWithoutPeers();
  }
}

/** docs/adr/0001-faults-do-not-end-the-agent.md: a fault outside every handler costs a log line, not the pod. */
function goOnAfterFaults(log: Log): void {
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
    const gate = agentGate(configuration);
    const explanation = explainConfiguration(configuration, (method, listener) =>
      gate.decide(listener, method),
    );
    const { warnings: diagnostics } = configuration;
    print(
      line.format === 'json'
        ? JSON.stringify({ ok: true, ...explanation, diagnostics })
        : renderExplanation(explanation),
    );
  } else if (line.format === 'json') {
    // As kata-agent-ctl config check has it.
    print(JSON.stringify({ ok: true, digest: configuration.digest, diagnostics: configuration.warnings }));
  } else {
    print(`The configuration is right. Digest: ${configuration.digest}`);
  }
  return exitCode.fine;
}

/** The program, once the guest that it is PID 1 of is `ready`; answers its exit code. */
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
