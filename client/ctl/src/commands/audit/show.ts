import { RecordedCases } from '@kata-agent/analysis';
import { follow, type Read, readLog } from '@kata-agent/audit';
import { type CommandDefinition, CommandError, ExitCode, type Invocation, write } from '@kata-agent/cli';
import { logOperand, withLog } from './log-file.js';
import { eachWanted, filterOptions, printRecords } from './print-records.js';

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
    ...filterOptions,
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
        asTest ? showAsTest(invocation, records) : printRecords(invocation, records, helpOn(file)),
      );
    } finally {
      if (following) invocation.io.signals.off('SIGINT', stop);
    }
  },
};

async function showAsTest(invocation: Invocation, records: AsyncIterable<Read>): Promise<number> {
  const { io, operands } = invocation;
  const cases = new RecordedCases();
  const file = operands[0] ?? '';
  const code = await eachWanted(invocation, records, helpOn(file), ({ record }) => {
    cases.add(record);
    return Promise.resolve();
  });
  await write(io.stdout, cases.text(file));
  return code;
}

function helpOn(file: string): string {
  return `list all of them: kata-agent-ctl audit verify ${file}`;
}
