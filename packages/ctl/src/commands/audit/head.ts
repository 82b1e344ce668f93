import { formatHead, head as readHead } from '@kata-agent/audit';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { logOperand, withLog } from './log-file.js';

export const auditHead: CommandDefinition = {
  path: 'audit head',
  summary: 'print where an audit log stands, to be kept elsewhere',
  details: [
    'Prints the last record’s sequence number and hash. Kept where the log’s writer cannot change it, and given to audit verify later, it shows a log that was cut off or written anew.',
  ],
  operands: [logOperand],
  examples: [
    {
      line: 'kata-agent-ctl audit head /run/kata-agent/audit.log > head',
      says: 'Keeps the head in a file.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const position = await withLog(file, ExitCode.CannotApply, () => readHead(file));
    await print(invocation, position, () => `${formatHead(position)}\n`);
    return ExitCode.Fine;
  },
};
