import { GuestError, type GuestErrorKind } from '../error/guest-error.js';
import { type KnownRuntime, knownRuntimes } from './known-runtimes.js';

/**
 * Converts a failure of the runtime to a GuestError: its message, and the kind that follows from it. No other code
 * parses a runtime's messages. A process that has ended, or a program that does not exist, is reported in the words of
 * Kata's agent.
 */
export function runtimeError(
  runtime: KnownRuntime,
  command: string,
  output: string,
  status: string,
): GuestError {
  const message = lastError(output) ?? status;
  // The others' messages too: a program of another name may be any of them.
  const known = [runtime, ...knownRuntimes].flatMap(({ messages }) => messages);
  const [, kind, remedy] = known.find(([pattern]) => pattern.test(message)) ?? [undefined, 'internal'];
  const help = remedy === undefined ? '' : `; help: ${remedy}`;
  return new GuestError(kind, `${wordsOfKata(kind, message)}${runtime.name} ${command}: ${message}${help}`);
}

/** Returns the words with which Kata's agent reports the same failure, for its clients and tests; empty: none. */
function wordsOfKata(kind: GuestErrorKind, message: string): string {
  if (kind === 'not-found') return 'ESRCH: No such process: ';
  for (const { missingProgram } of knownRuntimes) {
    const program = missingProgram.exec(message)?.[1];
    if (program !== undefined) return `the file ${program} was not found: `;
  }
  return '';
}

/** Returns the last entry of level error or fatal in the runtime's JSON log; else its last line of plain text. */
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
    // An incomplete line: its text is still the best message available.
    return undefined;
  }
}
