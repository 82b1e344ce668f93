import { CommanderError } from 'commander';
import { CommandError } from '../command-error.js';
import { CallError } from '../connection/call-error.js';
import { ExitCode } from '../exit-code.js';
import { styleFor } from '../output/style.js';
import { explainFailure, renderRefusal } from '../refusal/refusal.js';
import type { Io } from './io.js';

/** The program's name, as it stands before its messages. */
export const programName = 'kata-agent-ctl';

/** Says on standard error why a command failed, in the format that was asked for; returns the exit code. */
export function reportFailure(error: unknown, io: Io, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message already, for people; and help is no failure.
    if (json && error.exitCode !== ExitCode.Fine) {
      const message =
        error.code === 'commander.help'
          ? 'a command is missing'
          : error.message.replace(/^error: /, '').trim();
      io.stderr.write(`${JSON.stringify({ error: { kind: 'command', message, help: [] } })}\n`);
    }
    return error.exitCode;
  }
  // The reader has gone (`… | head`): that is how it says that it has enough.
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return ExitCode.Fine;
  const failure = describe(error);
  if (json) io.stderr.write(`${JSON.stringify(failure.json)}\n`);
  else io.stderr.write(text(failure.lines, io));
  return failure.exitCode;
}

interface Failure {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
  readonly json: object;
}

function describe(error: unknown): Failure {
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
    lines: ['this is an error of kata-agent-ctl itself:', ...trace.split('\n')],
    json: { error: { kind: 'internal', message: trace } },
  };
}

function text(lines: readonly string[], io: Io): string {
  const style = styleFor(io.stderr, io.environment);
  const [headline = '', ...rest] = lines;
  const name = style.bold(style.red(`${programName}:`));
  return [`${name} ${headline}\n`, ...rest.map((line) => `  ${line}\n`)].join('');
}
