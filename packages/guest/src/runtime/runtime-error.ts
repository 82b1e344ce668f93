import { GuestError, type GuestErrorKind } from '../guest-error.js';

/** What runc says (1.1 to 1.4), and what it means to a caller. The first that fits decides. */
const meanings: readonly (readonly [RegExp, GuestErrorKind])[] = [
  [/no such process|process already finished|container not running/i, 'not-found'],
  [/with (?:given )?id .*(?:exists|in use)|container with id exists/i, 'exists'],
  [/cannot exec in a (?:stopped|paused) container|container not paused|container is paused/i, 'precondition'],
  [
    /cannot (?:pause|resume|start)|container .* is not (?:paused|running)|not in the created state/i,
    'precondition',
  ],
  [/executable file not found|no such file or directory: unknown|stat .*: no such file/i, 'invalid'],
  [/permission denied: unknown|exec format error|is a directory/i, 'invalid'],
];

/**
 * One failure of the runtime as a GuestError: its own words, and the kind that follows from them. This is the only
 * place that reads runc's texts. A process that is gone is said in the words that Kata's clients look for.
 */
export function runtimeError(command: string, output: string, status: string): GuestError {
  const said = lastError(output) ?? status;
  const kind = meanings.find(([pattern]) => pattern.test(said))?.[1] ?? 'internal';
  const gone = kind === 'not-found' ? 'ESRCH: No such process: ' : '';
  return new GuestError(kind, `${gone}runc ${command}: ${said}`);
}

/** The last entry of level error or fatal in runc's JSON log; else its last line of plain text. */
function lastError(output: string): string | undefined {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const entries = lines.map(logEntry).filter((entry) => entry !== undefined);
  const worst = entries.findLast(({ level }) => level === 'error' || level === 'fatal') ?? entries.at(-1);
  return worst?.msg ?? lines.at(-1);
}

function logEntry(line: string): { readonly level: string; readonly msg: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { level, msg }: { level?: unknown; msg?: unknown } = JSON.parse(line);
    return typeof level === 'string' && typeof msg === 'string' ? { level, msg } : undefined;
  } catch {
    // A line that the runtime did not finish: its text is still the best there is.
    return undefined;
  }
}
