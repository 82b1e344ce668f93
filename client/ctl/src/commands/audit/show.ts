import { RecordedCases } from '@kata-agent/analysis';
import { follow, linkedRecords, type Read, readLog } from '@kata-agent/audit';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  withAgent,
  write,
} from '@kata-agent/cli';
import { Management } from '@kata-agent/protocol/management';
import {
  eachWanted,
  filterOptions,
  firstSequence,
  isWanted,
  logOperand,
  printRecords,
  recordFilter,
  withLog,
} from './records.js';

export const auditShow: CommandDefinition = {
  path: 'audit show',
  summary: 'print an audit log, one line per record',
  details: [
    'With --format json, prints the records as written, one per line. Lines that are not records are reported on standard error, and the exit code is then 4. To check the hash chain, use audit verify.',
    'A filter other than --since and --tail leaves out records that are not calls, such as a boot.',
    'With --as-test, prints a test file instead: the recorded requests and their decisions, for config test to run against another configuration.',
  ],
  operands: [logOperand],
  options: [
    { flags: '-f, --follow', description: 'keep printing new records, until interrupted' },
    { flags: '--tail <n>', description: 'only the last n of these records, and with --follow new ones' },
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
      return await withLog(file, ExitCode.CannotApply, async () => {
        const first = await firstOfTail(invocation, file);
        const records = from(first, following ? follow(file, { signal: over.signal }) : readLog(file));
        return asTest
          ? await showAsTest(invocation, records)
          : await printRecords(invocation, records, helpOn(file));
      });
    } finally {
      if (following) invocation.io.signals.off('SIGINT', stop);
    }
  },
};

/** Returns the sequence number of the first record that --tail keeps; 0: all. */
async function firstOfTail({ options }: Invocation, file: string): Promise<number> {
  const count = options.whole('tail', 1, 1_000_000);
  if (count === undefined) return 0;
  const filter = recordFilter(options);
  let last: number[] = [];
  for await (const read of readLog(file)) {
    if (read.ok && isWanted(read.record, filter)) last.push(read.record.sequence);
    if (last.length >= 2 * count) last = last.slice(-count);
  }
  return last.at(-count) ?? last[0] ?? 0;
}

/** Leaves out records before a sequence number. Lines that are not records are kept, to be reported. */
async function* from(first: number, records: AsyncIterable<Read>): AsyncIterable<Read> {
  for await (const read of records) if (!read.ok || read.record.sequence >= first) yield read;
}

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

const help = 'compare with another copy of the log: the agent or a relay changed or withheld records';

export const auditWatch: CommandDefinition = {
  path: 'audit watch',
  summary: 'print the audit records of a running agent as they are written',
  details: [
    'Calls Management.WatchAudit, on a listener whose management names it, until interrupted or until the agent ends. Checks that each record follows the one before, as audit verify does; problems are reported on standard error, and the exit code is then 4. With --format json, prints the records as written: a file of them can be verified later.',
    'An agent closes the connection of a watcher that stops reading. To resume, pass the sequence number after the last record as --from. Records from there on that rotation has removed are reported as missing.',
  ],
  options: [
    {
      flags: '--from <sequence>',
      description: 'begin with this record: 1 is the first of the log (default: records written from now on)',
    },
    ...filterOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit watch -a unix:///run/agent.sock --denied',
      description: 'Prints denied calls as they happen.',
    },
    {
      line: 'kata-agent-ctl audit watch -a unix:///run/agent.sock --from 1 --format json > audit.log',
      description: 'Copies the log out of the guest.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { io } = invocation;
    const from = firstSequence(invocation.options);
    const over = new AbortController();
    const stop = (): void => over.abort();
    io.signals.on('SIGINT', stop);
    try {
      return await withAgent(invocation, async (agent) => {
        const replies = agent.stream(
          Management.method.watchAudit,
          from === undefined ? {} : { from: BigInt(from) },
          over,
        );
        const lines = (async function* () {
          for await (const { records } of replies) yield records;
        })();
        return await printRecords(invocation, linkedRecords(lines, from), help);
      });
    } finally {
      io.signals.off('SIGINT', stop);
    }
  },
};
