import {
  type AuditRecord,
  isDenied,
  type Read,
  renderHeader,
  renderRecord,
  writtenLine,
} from '@kata-agent/audit';
import {
  CommandError,
  ExitCode,
  type Invocation,
  type OptionRow,
  type Options,
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
];

/** Prints matching records, with `--format json` as they were written. `help` is the remedy for lines that are not records. */
export async function printRecords(
  invocation: Invocation,
  records: AsyncIterable<Read>,
  help: string,
): Promise<number> {
  const { io, options } = invocation;
  const color = styleFor(io.stdout, io.environment).enabled;
  if (!options.json) await write(io.stdout, `${renderHeader({ color })}\n`);
  return await eachWanted(invocation, records, help, async (read) => {
    const line = options.json ? writtenLine(read) : renderRecord(read.record, { color });
    await write(io.stdout, `${line}\n`);
  });
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
  const filter: RecordFilter = {
    methods: options.texts('method'),
    denied: options.flag('denied'),
    container: options.text('container'),
  };
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
interface RecordFilter {
  readonly methods: readonly string[];
  /** Only calls denied by the gate, a rule or a check. */
  readonly denied: boolean;
  readonly container: string | undefined;
}

/** Reports whether a record matches. Records that are not calls (a boot, a rotation) match only an empty filter. */
function isWanted(record: AuditRecord, filter: RecordFilter): boolean {
  const { methods, denied, container } = filter;
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
