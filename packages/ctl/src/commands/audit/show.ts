import { RecordedCases } from '@kata-agent/analysis';
import { type AuditRecord, follow, type Read, readLog, renderHeader, renderRecord } from '@kata-agent/audit';
import type { CommandDefinition, Invocation } from '../../cli/definition.js';
import { programName } from '../../cli/report.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { write } from '../../output/print.js';
import { styleFor } from '../../output/style.js';
import { logOperand, withLog } from './log-file.js';
import { isWanted, type RecordFilter } from './record-filter.js';

export const auditShow: CommandDefinition = {
  path: 'audit show',
  summary: 'print an audit log, a line for each record',
  details: [
    'With --format json, the records as they were written, one on each line. A line that is not a record is said on standard error, and the exit code is 4 then; whether the records follow each other is for audit verify to say.',
    'A filter leaves out records that are of no call, such as that of a boot.',
    'With --as-test, a file of tests instead: what was asked for and what became of it, to be put to another configuration by config test.',
  ],
  operands: [logOperand],
  options: [
    { flags: '-f, --follow', says: 'go on with what is being written, until interrupted' },
    { flags: '--method <name>', says: 'only this method’s; may be repeated', repeatable: true },
    { flags: '--denied', says: 'only what was refused' },
    { flags: '--container <id>', says: 'only what is about this container' },
    { flags: '--as-test', says: 'print tests for config test, in YAML' },
  ],
  examples: [
    { line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --denied', says: 'What was refused.' },
    {
      line: 'kata-agent-ctl audit show -f /run/kata-agent/audit.log --method ExecProcess --format json',
      says: 'Every exec as it happens, for a program.',
    },
    {
      line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --as-test > recorded.test.yaml',
      says: 'Tests of what a configuration decides, from what was decided.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const over = new AbortController();
    const stop = (): void => over.abort();
    const following = invocation.options.flag('follow');
    const asTest = invocation.options.flag('asTest');
    if (following && asTest)
      throw new CommandError(ExitCode.Usage, '--as-test and --follow do not go together: tests have an end');
    if (following) invocation.io.signals.on('SIGINT', stop);
    try {
      const records = following ? follow(file, { signal: over.signal }) : readLog(file);
      return await withLog(file, ExitCode.CannotApply, () =>
        asTest ? showAsTest(invocation, records) : show(invocation, records),
      );
    } finally {
      if (following) invocation.io.signals.off('SIGINT', stop);
    }
  },
};

async function showAsTest(invocation: Invocation, records: AsyncIterable<Read>): Promise<number> {
  const { io, operands } = invocation;
  const cases = new RecordedCases();
  const code = await eachWanted(invocation, records, (record) => {
    cases.add(record);
    return Promise.resolve();
  });
  await write(io.stdout, cases.text(operands[0] ?? ''));
  return code;
}

async function show(invocation: Invocation, records: AsyncIterable<Read>): Promise<number> {
  const { io, options } = invocation;
  const color = styleFor(io.stdout, io.environment).enabled;
  if (!options.json) await write(io.stdout, `${renderHeader({ color })}\n`);
  return await eachWanted(invocation, records, async (record) => {
    const line = options.json ? JSON.stringify(record) : renderRecord(record, { color });
    await write(io.stdout, `${line}\n`);
  });
}

/** A file that is no log at all has many lines that are no records. */
const mostSaid = 5;

/** Puts the records that the filters leave to `use`, and says what is none; returns the exit code. */
async function eachWanted(
  { io, options, operands }: Invocation,
  records: AsyncIterable<Read>,
  use: (record: AuditRecord) => Promise<void>,
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
      if (wrong <= mostSaid) io.stderr.write(`${programName}: a line is ${read.what}\n`);
    } else if (isWanted(read.record, filter)) await use(read.record);
  }
  if (wrong === 0) return ExitCode.Fine;
  const more = wrong > mostSaid ? `${wrong - mostSaid} more lines are no records; ` : '';
  io.stderr.write(
    `${programName}: ${more}kata-agent-ctl audit verify ${operands[0] ?? ''} says which lines are wrong\n`,
  );
  return ExitCode.Mismatch;
}
