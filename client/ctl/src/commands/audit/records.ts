import {
  type AuditRecord,
  isDenied,
  type Read,
  renderHeader,
  renderRecord,
  writtenLine,
  narrowTextColumn,
} from '@kata-agent/audit';
import {
  CommandError,
  ExitCode,
  foldedWithin,
  type Invocation,
  type OptionRow,
  type Options,
  parseDuration,
  styleFor,
  write,
} from '@kata-agent/cli';
import { programName } from '../../program-name.js';

/** The operand of every audit command. */
export const logOperand = {
  syntax: '<file>',
  description: 'the audit log; older segments beside it are read too',
} as const;

/** Options of the commands that print records. */
export const filterOptions: readonly OptionRow[] = [
  { flags: '--method <name>', description: 'only calls of this method; may be repeated', repeatable: true },
  { flags: '--denied', description: 'only denied calls' },
  { flags: '--container <id>', description: 'only calls about this container' },
  { flags: '--peer <name>', description: 'only calls of peers whose name contains this' },
  {
    flags: '--since <time>',
    description:
      'only records from then on, by the guest’s clock, which its host can set: 2026-11-27T00:00:00Z, or 15m, 2h: so long ago',
  },
  {
    flags: '--wide',
    description: 'one line for each record on a terminal too, which otherwise has lines of its width',
  },
];

/** Above this width a terminal has room for the columns of --wide. */
const narrowBelow = 140;

/** Prints matching records, with `--format json` as they were written. `help` is the remedy for lines that are not records. */
export async function printRecords(
  invocation: Invocation,
  records: AsyncIterable<Read>,
  help: string,
): Promise<number> {
  const { io, options } = invocation;
  const { isTTY, columns = 80 } = io.stdout;
  const color = styleFor(io.stdout, io.environment).enabled;
  const narrow = isTTY === true && !options.flag('wide') && columns < narrowBelow;
  const fit = (line: string): string => (narrow ? foldedWithin(line, columns, indentIn(columns)) : line);
  if (!options.json) await write(io.stdout, `${fit(renderHeader({ color, narrow }))}\n`);
  return await eachWanted(invocation, records, help, async (read) => {
    const line = options.json ? writtenLine(read) : fit(renderRecord(read.record, { color, narrow }));
    await write(io.stdout, `${line}\n`);
  });
}

/** More than a record has before its sequence number: no part of a text can look like a record. */
const minIndent = 8;

/** Returns where the second line of a record begins: below its text, unless that leaves few columns. */
function indentIn(columns: number): number {
  return columns < narrowTextColumn + 20 ? minIndent : narrowTextColumn;
}

/** Limit of reported lines: a file that is not an audit log has many. */
const maxSaid = 5;

/** Passes matching records to `use` and reports lines that are not records; returns the exit code. */
export async function eachWanted(
  { io, options }: Invocation,
  records: AsyncIterable<Read>,
  help: string,
  use: (read: Extract<Read, { ok: true }>) => Promise<void>,
): Promise<number> {
  const filter = recordFilter(options);
  let wrong = 0;
  for await (const read of records) {
    if (!read.ok) {
      wrong += 1;
      if (wrong <= maxSaid) io.stderr.write(`${programName}: a line is ${read.what}\n`);
    } else if (isWanted(read.record, filter)) await use(read);
  }
  if (wrong === 0) return ExitCode.Success;
  const more = wrong > maxSaid ? `${wrong - maxSaid} more lines are not records; ` : '';
  io.stderr.write(`${programName}: ${more}${help}\n`);
  return ExitCode.Mismatch;
}

/** Which records to show; all given conditions must match. */
export interface RecordFilter {
  readonly methods: readonly string[];
  /** Only calls denied by the gate, a rule or a check. */
  readonly denied: boolean;
  readonly container: string | undefined;
  /** A part of the peer's name. */
  readonly peer: string | undefined;
  /** A time of the wall clock, in RFC 3339 and UTC as records have it. */
  readonly since: string | undefined;
}

/** Returns the filter that the options describe. Throws a CommandError (wrong use). */
export function recordFilter(options: Options): RecordFilter {
  return {
    methods: options.texts('method'),
    denied: options.flag('denied'),
    container: options.text('container'),
    peer: options.text('peer'),
    since: sinceTime(options.text('since')),
  };
}

function sinceTime(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9.]+(ms|s|m|h)$/.test(text))
    return new Date(Date.now() - parseDuration(text, '--since')).toISOString();
  // Without a zone it is UTC, as in records.
  const zoned = /^\d{4}-\d\d-\d\dT[\d:.]+$/.test(text) ? `${text}Z` : text;
  const time = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(zoned) : Number.NaN;
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new CommandError(ExitCode.Usage, `invalid --since '${text}'`, {
    help: ['write 2026-11-27T00:00:00Z, 2026-11-27, or how long ago: 15m, 2h'],
  });
}

/** Reports whether a record matches. Records that are not calls (a boot, a rotation) match only a filter of times. */
export function isWanted(record: AuditRecord, filter: RecordFilter): boolean {
  const { methods, denied, container, peer, since } = filter;
  if (since !== undefined && record.wall < since) return false;
  if (peer !== undefined && !('peer' in record && record.peer.includes(peer))) return false;
  if (methods.length > 0 && !('method' in record && methods.includes(record.method))) return false;
  if (denied && !isDenied(record)) return false;
  return container === undefined || ('subject' in record && record.subject?.containerId === container);
}

/** Returns the sequence number that `--from` names. Throws a CommandError. */
export function firstSequence(options: Pick<Options, 'text'>): number | undefined {
  const text = options.text('from');
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new CommandError(ExitCode.Usage, `--from '${text}': must be a sequence number, from 1`);
}

/**
 * Reads an audit log. A system error about the file (for example no permission) is "cannot be applied here";
 * `unreadable` is the exit code if there is no log or if it ends in something other than a record. Rejects with a
 * CommandError.
 */
export async function withLog<T>(file: string, unreadable: ExitCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CommandError) throw error;
    const fromSystem = (error as NodeJS.ErrnoException).code !== undefined;
    throw new CommandError(
      fromSystem ? ExitCode.CannotApply : unreadable,
      `cannot read ${file}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
