import type { Configuration } from '@kata-agent/config';
import { CannotApply } from '../cannot-apply.js';
import { defaultStateDirectory } from './state-directory.js';

/**
 * Returns the directory of `--state-dir`, or the default. A guest that somebody relies on has one agent and one state
 * directory: another would be a way to start without what SetPolicy had refused, and beside registers that vouch for a
 * different configuration.
 *
 * @throws CannotApply when the flag is given to PID 1, or beside a configuration that is measured.
 */
export function chooseStateDirectory(
  flag: string | undefined,
  {
    isFirstProcess,
    configuration: { measurement },
  }: { readonly isFirstProcess: boolean; readonly configuration: Pick<Configuration, 'measurement'> },
): string {
  if (flag === undefined) return defaultStateDirectory;
  const help = 'leave --state-dir out';
  if (isFirstProcess) {
    const reason = "PID 1's arguments may come from the host's kernel command line";
    throw new CannotApply(`--state-dir is for development and tests, not for PID 1: ${reason}`, { help });
  }
  const measured = (['tpm', 'rtmr'] as const).find((register) => measurement[register] !== 'off');
  if (measured !== undefined) {
    const key = `${measured} = ${JSON.stringify(measurement[measured])}`;
    throw new CannotApply(
      `--state-dir is for development and tests, and this configuration is measured (${key})`,
      {
        help,
      },
    );
  }
  return flag;
}
