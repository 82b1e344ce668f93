import { follow, type Read, readLog, renderHeader, renderRecord } from '@kata-agent/audit';
import type { CommandDefinition, Invocation } from '../../cli/definition.js';
import { programName } from '../../cli/report.js';
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
  ],
  operands: [logOperand],
  options: [
    { flags: '-f, --follow', says: 'go on with what is being written, until interrupted' },
    { flags: '--method <name>', says: 'only this method’s; may be repeated', repeatable: true },
    { flags: '--denied', says: 'only what was refused' },
    { flags: '--container <id>', says: 'only what is about this container' },
  ],
  examples: [
    { line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --denied', says: 'What was refused.' },
    {
      line: 'kata-agent-ctl audit show -f /run/kata-agent/audit.log --method ExecProcess --format json',
      says: 'Every exec as it happens, for a program.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const over = new AbortController();
    const stop = (): void => over.abort();
    const following = invocation.options.flag('follow');
    if (following) invocation.io.signals.on('SIGINT', stop);
    try {
      const records = following ? follow(file, { signal: over.signal }) : readLog(file);
      return await withLog(file, ExitCode.CannotApply, () => show(invocation, records));
    } finally {
      if (following) invocation.io.signals.off('SIGINT', stop);
    }
  },
};

async function show(invocation: Invocation, records: AsyncIterable<Read>): Promise<number> {
  const { io, options } = invocation;
  const filter: RecordFilter = {
    methods: options.texts('method'),
    denied: options.flag('denied'),
    container: options.text('container'),
  };
  const color = styleFor(io.stdout, io.environment).enabled;
  let code: number = ExitCode.Fine;
  if (!options.json) await write(io.stdout, `${renderHeader({ color })}\n`);
  for await (const read of records) {
    if (!read.ok) {
      code = ExitCode.Mismatch;
      io.stderr.write(`${programName}: a line is ${read.what}\n`);
    } else if (isWanted(read.record, filter)) {
      const line = options.json ? JSON.stringify(read.record) : renderRecord(read.record, { color });
      await write(io.stdout, `${line}\n`);
    }
  }
  return code;
}
