import { type AuditRecord, formatHead, readLog, verify, type VerifyReport } from '@kata-agent/audit';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { withLog } from './log-file.js';

/** The records of a log, and a line that says what was read. */
export interface ReadEvidence {
  readonly records: readonly AuditRecord[];
  readonly says: string;
}

/**
 * Reads a whole log, checked as `audit verify` does. One that does not verify ends in a CommandError, unless
 * `unverified` says that it is to be read all the same.
 */
export async function readEvidence(file: string, unverified: boolean): Promise<ReadEvidence> {
  const report = await withLog(file, ExitCode.Mismatch, () => verify(file));
  if (!report.ok && !unverified) throw notVerified(file, report);
  const records: AuditRecord[] = [];
  await withLog(file, ExitCode.CannotApply, async () => {
    for await (const read of readLog(file)) {
      // What was written after the check is not checked.
      if (read.ok && read.record.sequence <= (report.last ?? 0)) records.push(read.record);
    }
  });
  const last = records.at(-1);
  if (
    report.ok &&
    (records.length !== report.records || (last !== undefined && last.hash !== report.head.hash))
  )
    throw new CommandError(ExitCode.CannotApply, `${file} was rotated while it was read`, {
      help: ['try again'],
    });
  const range =
    last === undefined ? 'no records' : `records ${records[0]?.sequence ?? 0} to ${last.sequence}`;
  const state = report.ok ? `verified, head ${formatHead(report.head)}` : 'NOT VERIFIED: it may say anything';
  return { records, says: `${file}: ${range}, ${state}` };
}

function notVerified(file: string, { problems, unlisted }: VerifyReport): CommandError {
  const shown = problems.slice(0, 3).map(({ what, sequence }) => {
    return sequence === undefined ? what : `record ${sequence}: ${what}`;
  });
  const more = problems.length - shown.length + unlisted;
  return new CommandError(ExitCode.Mismatch, `${file} does not verify, so nothing is learnt from it`, {
    help: [
      ...shown,
      ...(more > 0 ? [`and ${more} more: kata-agent-ctl audit verify ${file}`] : []),
      'with --unverified it is read all the same, and the result says so',
    ],
  });
}
