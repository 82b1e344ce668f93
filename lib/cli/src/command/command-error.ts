import type { ExitCode } from './exit-code.js';

/** A failure that is reported as a message and lines of help, without a stack trace. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  /** Instructions for the user, one line each. */
  readonly help: readonly string[];
  /** The single problems, for programs. */
  readonly diagnostics: readonly object[] | undefined;

  constructor(
    exitCode: ExitCode,
    message: string,
    options: { help?: readonly string[]; diagnostics?: readonly object[]; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.help = options.help ?? [];
    this.diagnostics = options.diagnostics;
  }
}
