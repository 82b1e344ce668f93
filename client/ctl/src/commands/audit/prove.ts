import { CannotProve, prove } from '@kata-agent/audit';
import { NoteSignatureError } from '@kata-agent/tlog';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  print,
  readCheckpoint,
  witnessKeys,
  witnessOption,
} from '@kata-agent/cli';
import { logOperand, withLog } from './log-file.js';

export const auditProve: CommandDefinition = {
  path: 'audit prove',
  summary: 'prove that an audit log has a record',
  details: [
    'Prints a proof (C2SP tlog-proof) that a checkpoint covers the record, with the checkpoint. Anyone who has the record’s line can verify it with audit verify-proof, without the rest of the log.',
  ],
  operands: [{ syntax: '<sequence>', description: 'the record’s sequence number' }, logOperand],
  options: [
    { flags: '--checkpoint <file>', description: 'a checkpoint that audit checkpoint printed' },
    witnessOption,
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit prove 7 /run/kata-agent/audit.log --checkpoint checkpoint > record-7.proof',
      description: 'Proves record 7.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const [sequence = '', file = ''] = invocation.operands;
    const path = invocation.options.text('checkpoint');
    if (!/^[1-9]\d{0,14}$/.test(sequence))
      throw new CommandError(ExitCode.Usage, `sequence '${sequence}': must be a sequence number, from 1`);
    if (path === undefined)
      throw new CommandError(ExitCode.Usage, '--checkpoint is missing: a record is proved by a checkpoint', {
        help: ['get one from the agent by kata-agent-ctl audit checkpoint'],
      });
    const checkpoint = readCheckpoint(path);
    const witnesses = witnessKeys(invocation.options);
    const proof = await withLog(file, ExitCode.Mismatch, async () => {
      try {
        return await prove(file, Number(sequence), checkpoint, witnesses);
      } catch (error) {
        if (error instanceof CannotProve || error instanceof NoteSignatureError)
          throw new CommandError(ExitCode.Mismatch, `record ${sequence} is not proved: ${error.message}`);
        throw error;
      }
    });
    await print(invocation, { sequence: Number(sequence), proof }, () => proof);
    return ExitCode.Success;
  },
};
