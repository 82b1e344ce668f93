import { type AuditRecord, formatHead, readLog, verify, type VerifyReport } from '@kata-agent/audit';
import { CommandError, ExitCode } from '@kata-agent/cli';
import { withLog } from './log-file.js';

/** The records of an audit log, and a line that describes the log. */
export interface ReadEvidence {
  readonly records: readonly AuditRecord[];
  readonly description: string;
}

/**
 * Reads a whole audit log and verifies it as `audit verify` does. A log that does not verify is a CommandError,
 * unless `unverified` is set.
 */
export async function readEvidence(file: string, unverified: boolean): Promise<ReadEvidence> {
  const report = await withLog(file, ExitCode.Mismatch, () => verify(file));
  if (!report.ok && !unverified) throw notVerified(file, report);
  const records: AuditRecord[] = [];
  await withLog(file, ExitCode.CannotApply, async () => {
    for await (const read of readLog(file)) {
      // Records written after the verification are not verified.
      if (read.ok && read.record.sequence <= (report.last ?? 0)) records.push(read.record);
    }
  });
  const last = records.at(-1);
  if (
    report.ok &&
    (records.length !== report.records || (last !== undefined && last.hash !== report.head.hash))
  )
    throw new CommandError(ExitCode.CannotApply, `${file} was rotated while it was read`, {
      help: ['run the command again'],
    });
  const range =
    last === undefined ? 'no records' : `records ${records[0]?.sequence ?? 0} to ${last.sequence}`;
  const state = report.ok
    ? `verified, head ${formatHead(report.head)}`
    : 'NOT VERIFIED: the contents may be forged';
  return { records, description: `${file}: ${range}, ${state}` };
}

function notVerified(file: string, { problems, unlisted }: VerifyReport): CommandError {
  const shown = problems.slice(0, 3).map(({ what, sequence }) => {
    return sequence === undefined ? what : `record ${sequence}: ${what}`;
  });
  const more = problems.length - shown.length + unlisted;
  return new CommandError(ExitCode.Mismatch, `${file} does not verify: not used`, {
    help: [
      ...shown,
      ...(more > 0 ? [`and ${more} more: kata-agent-ctl audit verify ${file}`] : []),
      '--unverified reads it anyway, and notes that in the result',
    ],
  });
}
