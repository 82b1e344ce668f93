import type { Configuration } from '@kata-agent/config';
import { CommandError, ExitCode, type OptionRow, type Options } from '@kata-agent/cli';

export const listenerOption: OptionRow = {
  flags: '--listener <name>',
  description: 'the listener that the runtime calls (default: the first)',
};

/**
 * Returns the listener that the option names; undefined without it. Throws a CommandError (2) for an unknown one, which
 * would look like one that serves nothing.
 */
export function listenerOf(options: Options, { listeners }: Configuration): string | undefined {
  const listener = options.text('listener');
  const names = listeners.map(({ name }) => name);
  if (listener === undefined || names.includes(listener)) return listener;
  throw new CommandError(ExitCode.Usage, `--listener '${listener}': the configuration has no such listener`, {
    help: [`listeners: ${names.join(', ')}`],
  });
}
