import type { Configuration } from '@kata-agent/config';
import { CannotApply } from '../cannot-apply.js';
import type { CommandLine } from './command-line.js';

/** Flags for development and tests. */
export type DevelopmentFlags = Pick<CommandLine, 'stateDirectory' | 'relaxedPermissions'>;

/**
 * A protected guest has one agent and one state directory: another directory would allow a start without the denials of
 * SetPolicy, and with registers that attest another configuration. And a flag that no register covers must not decide
 * who can write the configuration (S21).
 *
 * @throws CannotApply if such a flag is given to PID 1, or with a measured configuration.
 */
export function checkDevelopmentFlags(
  flags: DevelopmentFlags,
  {
    isFirstProcess,
    configuration: { measurement },
  }: { readonly isFirstProcess: boolean; readonly configuration: Pick<Configuration, 'measurement'> },
): void {
  const flag = givenFlag(flags);
  if (flag === undefined) return;
  const help = `leave ${flag} out`;
  if (isFirstProcess) {
    const reason = "PID 1's arguments may come from the host's kernel command line";
    throw new CannotApply(`${flag} is for development and tests, not for PID 1: ${reason}`, { help });
  }
  const measured = (['tpm', 'rtmr'] as const).find((register) => measurement[register] !== 'off');
  if (measured === undefined) return;
  const key = `${measured} = ${JSON.stringify(measurement[measured])}`;
  throw new CannotApply(`${flag} is for development and tests, and this configuration is measured (${key})`, {
    help,
  });
}

function givenFlag({ stateDirectory, relaxedPermissions }: DevelopmentFlags): string | undefined {
  if (stateDirectory !== undefined) return '--state-dir';
  return relaxedPermissions ? '--relaxed-permissions' : undefined;
}
