import { formatHead, head as readHead } from '@kata-agent/audit';
import { type CommandDefinition, ExitCode, print } from '@kata-agent/cli';
import { logOperand, withLog } from './log-file.js';

export const auditHead: CommandDefinition = {
  path: 'audit head',
  summary: 'print the head of an audit log, to be stored elsewhere',
  details: [
    'Prints the sequence number and hash of the last record. Store the head where the writer of the log cannot change it. audit verify --head then detects a truncated or rewritten log. Store a newer one when the log rotates: what a record after the head says about removed records is not believed.',
  ],
  operands: [logOperand],
  examples: [
    {
      line: 'kata-agent-ctl audit head /run/kata-agent/audit.log > head',
      description: 'Stores the head in a file.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const position = await withLog(file, ExitCode.CannotApply, () => readHead(file));
    await print(invocation, position, () => `${formatHead(position)}\n`);
    return ExitCode.Success;
  },
};
