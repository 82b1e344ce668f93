import { CommandError } from './command-error.js';
import { ExitCode } from './exit-code.js';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Node's timers are limited to 31 bits of milliseconds; a larger delay fires at once. */
const longestMs = 2 ** 31 - 1;

/**
 * Parses `500ms`, `5s`, `2m` or `1h` into milliseconds; a bare number is seconds. Throws a CommandError (wrong use).
 */
export function parseDuration(text: string, what: string): number {
  const match = /^([0-9]{1,10}(?:\.[0-9]{1,3})?)(ms|s|m|h)?$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? 's'] ?? Number.NaN);
  if (value > 0 && value <= longestMs) return Math.max(1, Math.round(value));
  throw new CommandError(ExitCode.Usage, `invalid ${what} '${text}'`, {
    help: ['write 5s, 500ms or 2m; a bare number is seconds; the maximum is 24 days'],
  });
}
