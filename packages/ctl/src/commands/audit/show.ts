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
  summary: 'print an audit log, one line per record',
  details: [
    'With --format json, prints the records as written, one per line. Lines that are not records are reported on standard error, and the exit code is then 4. To check the hash chain, use audit verify.',
    'A filter leaves out records that are not calls, such as a boot.',
    'With --as-test, prints a test file instead: the recorded requests and their decisions, for config test to run against another configuration.',
  ],
  operands: [logOperand],
  options: [
    { flags: '-f, --follow', description: 'keep printing new records, until interrupted' },
    { flags: '--method <name>', description: 'only calls of this method; may be repeated', repeatable: true },
    { flags: '--denied', description: 'only denied calls' },
    { flags: '--container <id>', description: 'only calls about this container' },
    { flags: '--as-test', description: 'print tests for config test, in YAML' },
  ],
  examples: [
    { line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --denied', description: 'Denied calls.' },
    {
      line: 'kata-agent-ctl audit show -f /run/kata-agent/audit.log --method ExecProcess --format json',
      description: 'Every exec as it happens, as JSON.',
    },
    {
      line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --as-test > recorded.test.yaml',
      description: 'Tests from recorded decisions.',
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
      throw new CommandError(ExitCode.Usage, '--as-test and --follow exclude each other');
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

/** Limit of reported lines: a file that is not an audit log has many. */
const mostSaid = 5;

/** Passes matching records to `use` and reports lines that are not records; returns the exit code. */
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
  if (wrong === 0) return ExitCode.Success;
  const more = wrong > mostSaid ? `${wrong - mostSaid} more lines are not records; ` : '';
  io.stderr.write(
    `${programName}: ${more}list all of them: kata-agent-ctl audit verify ${operands[0] ?? ''}\n`,
  );
  return ExitCode.Mismatch;
}
