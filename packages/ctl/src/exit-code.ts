/** One row of the table of exit codes: what a script may rely on. */
export interface ExitCodeRow {
  readonly code: number;
  readonly name: string;
  readonly meaning: string;
}

/** The exit codes of both programs. Scripts rely on them, so a number never changes its meaning. */
export const ExitCode = {
  Fine: 0,
  Failed: 1,
  Usage: 2,
  CannotApply: 3,
  Mismatch: 4,
  OursInRun: 125,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export const exitCodes: readonly ExitCodeRow[] = [
  { code: ExitCode.Fine, name: 'fine', meaning: 'What was asked for was done.' },
  {
    code: ExitCode.Failed,
    name: 'wrong',
    meaning: 'The configuration is wrong; or the agent answered the call with an error.',
  },
  { code: ExitCode.Usage, name: 'usage', meaning: 'The command was used wrongly; nothing was done.' },
  {
    code: ExitCode.CannotApply,
    name: 'cannot be applied',
    meaning:
      'The request is right but cannot be carried out here: an address that cannot be bound or reached, a file that cannot be read, a measurement that fails, a guest without an OCI runtime, a state directory that another agent has, a further document that did not come or is not bound as asked.',
  },
  {
    code: ExitCode.Mismatch,
    name: 'mismatch',
    meaning:
      'A comparison or a verification failed: an audit log was changed, `config diff` found that something is opened, a case of `config test` did not hold, a workload of `config check --pod` would not work.',
  },
  {
    code: ExitCode.OursInRun,
    name: 'our own failure in run and exec',
    meaning:
      '`run` and `exec` pass on the exit code of the program that they started. Whatever fails on our side, wrong use included, is 125 there.',
  },
];
