import { CommanderError } from 'commander';
import { CommandError } from '../command/command-error.js';
import { CallError } from '../connection/call-error.js';
import { ExitCode } from '../command/exit-code.js';
import { styleFor } from '../output/style.js';
import { explainFailure, renderRefusal } from './refusal.js';
import type { Io } from '../command/io.js';

/** Prints on standard error why a command of a program failed, in the requested format, and returns the exit code. */
export function reportFailure(program: string, error: unknown, io: Io, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has already printed its message in text format; help is not a failure.
    if (json && error.exitCode !== ExitCode.Success) {
      const message =
        error.code === 'commander.help' ? 'missing command' : error.message.replace(/^error: /, '').trim();
      io.stderr.write(`${JSON.stringify({ error: { kind: 'command', message, help: [] } })}\n`);
    }
    return error.exitCode;
  }
  // EPIPE is not an error: the reader has enough (`… | head`).
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return ExitCode.Success;
  const failure = describe(program, error);
  if (json) io.stderr.write(`${JSON.stringify(failure.json)}\n`);
  else io.stderr.write(text(program, failure.lines, io));
  return failure.exitCode;
}

interface Failure {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
  readonly json: object;
}

function describe(program: string, error: unknown): Failure {
  if (error instanceof CallError) {
    const refusal = explainFailure(error);
    return { exitCode: ExitCode.Failed, lines: renderRefusal(refusal), json: { error: refusal } };
  }
  if (error instanceof CommandError) {
    const { exitCode, message, help, diagnostics } = error;
    return {
      exitCode,
      lines: [message, ...help],
      json: { error: { kind: 'command', message, help, diagnostics } },
    };
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    exitCode: ExitCode.Failed,
    lines: [`this is a bug in ${program}:`, ...trace.split('\n')],
    json: { error: { kind: 'internal', message: trace } },
  };
}

function text(program: string, lines: readonly string[], io: Io): string {
  const style = styleFor(io.stderr, io.environment);
  const [headline = '', ...rest] = lines;
  const name = style.bold(style.red(`${program}:`));
  return [`${name} ${headline}\n`, ...rest.map((line) => `  ${line}\n`)].join('');
}
