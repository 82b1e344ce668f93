import { CannotProve, evaluateTrust, leafOf, prove, readRecord } from '@kata-agent/audit';
import {
  type Checkpoint,
  NoteSignatureError,
  parseTlogProof,
  ProofError,
  verifyProof,
} from '@kata-agent/tlog';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  keyOptions,
  parsed,
  print,
  readCheckpoint,
  readInput,
  trustedKeys,
  trustText,
  witnessKeys,
  witnessOption,
} from '@kata-agent/cli';
import { logOperand, withLog } from './records.js';

const newline = 0x0a;

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

export const auditVerifyProof: CommandDefinition = {
  path: 'audit verify-proof',
  summary: 'verify that an audit log has a record, by a proof',
  details: [
    'The record is its line of the log, exactly. Exits with 4 if the proof is not of this record, or if the checkpoint in it is not signed by the key, or not cosigned as --witness and --quorum demand.',
  ],
  operands: [
    { syntax: '<proof>', description: 'a file that audit prove printed' },
    { syntax: '<record>', description: 'a file with the record’s line' },
  ],
  options: keyOptions,
  examples: [
    {
      line: 'kata-agent-ctl audit verify-proof record-7.proof record-7.json --key "$(cat log.key)"',
      description: 'Verifies the proof of a record.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const [proofPath = '', recordPath = ''] = invocation.operands;
    const keys = trustedKeys(invocation.options);
    const { key } = keys;
    if (key === undefined)
      throw new CommandError(ExitCode.Usage, '--key is missing: the key of the log', {
        help: ['it is logKey of the log’s boot record; take it from where you trust it'],
      });
    const proof = parsed(proofPath, () => parseTlogProof(readInput(proofPath)));
    const record = readInput(recordPath);
    const line = Buffer.from(record.at(-1) === newline ? record.subarray(0, -1) : record);
    const read = readRecord(line);
    if (!read.ok) throw new CommandError(ExitCode.Mismatch, `not proved: the record is ${read.what}`);
    let checkpoint: Checkpoint;
    try {
      checkpoint = verifyProof(proof, leafOf(line), {
        logs: [key],
        witnesses: keys.witnesses,
      });
    } catch (error) {
      if (!(error instanceof NoteSignatureError || error instanceof ProofError)) throw error;
      throw new CommandError(ExitCode.Mismatch, `not proved: ${error.message}`);
    }
    const { trust, problem } = evaluateTrust(checkpoint.witnesses.length, keys, checkpoint.head);
    if (problem !== undefined) throw new CommandError(ExitCode.Mismatch, `not proved: ${problem}`);
    const { origin, head } = checkpoint;
    const json = { origin, index: proof.index, size: head.size, trust };
    await print(
      invocation,
      json,
      () => `ok: record ${proof.index + 1} of ${head.size} of ${origin}: ${trustText(trust)}\n`,
    );
    return ExitCode.Success;
  },
};
