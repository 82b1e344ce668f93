import { type Read, renderHeader, renderRecord, writtenLine } from '@kata-agent/audit';
import { ExitCode, type Invocation, type OptionRow, styleFor, write } from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { isWanted, type RecordFilter } from './record-filter.js';

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
