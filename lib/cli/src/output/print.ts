import type { Invocation } from '../command/definition.js';
import type { Output } from '../command/io.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import { reasonOf } from '../input/read-input.js';
import { fitted, widest } from './fit.js';

/**
 * Prints a result: one line of JSON for programs, text for people. EPIPE is ignored (`… | head`): the exit code stays
 * that of the result.
 */
export async function print(invocation: Invocation, value: unknown, text: () => string): Promise<void> {
  const { io, options } = invocation;
  try {
    await write(io.stdout, options.json ? `${JSON.stringify(value)}\n` : text());
  } catch (error) {
    if (!isClosed(error)) throw error;
  }
}

/**
 * Prints a result like `print`, whose text is a report for people: made for the width of a terminal, and folded to it.
 *
 * @param text for a width in columns
 */
export async function printReport(
  invocation: Invocation,
  value: unknown,
  text: (width: number) => string,
): Promise<void> {
  const { isTTY, columns = widest } = invocation.io.stdout;
  const width = isTTY === true ? Math.min(columns, widest) : widest;
  await print(invocation, value, () => (isTTY === true ? fitted(text(width), columns) : text(width)));
}

/**
 * Writes and waits for completion, so that output from an agent is not buffered without bound. Rejects with EPIPE if
 * the reader is gone, and with a CommandError on any other write error, such as a full disk.
 */
export function write(stream: Output, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (!error) resolve();
      else reject(isClosed(error) ? error : cannotWrite(error));
    });
  });
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}

function cannotWrite(error: Error): CommandError {
  return new CommandError(ExitCode.CannotApply, `cannot write the output: ${reasonOf(error)}`, {
    cause: error,
  });
}
