/** Exit codes of all programs. Scripts depend on them: a number never changes its meaning. */
export const ExitCode = {
  Success: 0,
  Failed: 1,
  Usage: 2,
  CannotApply: 3,
  Mismatch: 4,
  OursInRun: 125,
} as const;

export const exitCodes: readonly ExitCodeRow[] = [
  { code: ExitCode.Success, name: 'success', meaning: 'The command succeeded.' },
  {
    code: ExitCode.Failed,
    name: 'wrong',
    meaning: 'The configuration is invalid, or the agent answered the call with an error.',
  },
  { code: ExitCode.Usage, name: 'usage', meaning: 'Wrong use of the command; nothing was done.' },
  {
    code: ExitCode.CannotApply,
    name: 'cannot be applied',
    meaning:
      'The request is valid but cannot be carried out on this machine: an address cannot be bound or reached, a file cannot be read, a measurement fails, there is no OCI runtime, another agent uses the state directory, a further document did not arrive or is not bound as required.',
  },
  {
    code: ExitCode.Mismatch,
    name: 'mismatch',
    meaning:
      'A comparison or a verification failed: an audit log was changed, `config diff` found that something is opened, a case of `config test` failed, a workload of `config check --pod` would not work.',
  },
  {
    code: ExitCode.OursInRun,
    name: 'failure of run or exec',
    meaning:
      '`run` and `exec` pass on the exit code of the program that they start. Failures on our side, wrong use included, are 125.',
  },
];

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

/** One row of the table of exit codes. */
interface ExitCodeRow {
  readonly code: number;
  readonly name: string;
  readonly meaning: string;
}

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
