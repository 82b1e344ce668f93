import { CommandError, ExitCode, type Options } from '@kata-agent/cli';

/** Returns the sequence number that `--from` names. Throws a CommandError. */
export function firstSequence(options: Pick<Options, 'text'>): number | undefined {
  const text = options.text('from');
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new CommandError(ExitCode.Usage, `--from '${text}': must be a sequence number, from 1`);
}
