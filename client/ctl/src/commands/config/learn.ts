import { Evidence, learn } from '@kata-agent/analysis';
import { type AuditRecord, formatHead, readLog, verify, type VerifyReport } from '@kata-agent/audit';
import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { withLog } from '../audit/records.js';

export const configLearn: CommandDefinition = {
  path: 'config learn',
  summary: 'write the smallest configuration that allows the calls in audit logs',
  details: [
    'Prints a TOML configuration: the endpoints that were called, and rules if the log was recorded with [audit] facts = true. Each line names the records that it comes from. Denied calls are listed at the end, as a comment.',
    'Every allowed call in the log is allowed by the result, unwanted ones too: review it. Calls of containers that only privileged_containers = "allow" allows are among them with --allow-privileged; without it the command exits with 4. The log is read with its older segments and must verify. Calls that are not in the log are not served: let the workload run through everything it does, until it ends, before you learn from its log.',
  ],
  operands: [{ syntax: '<logs...>', description: 'audit logs; older segments beside each are read too' }],
  options: [
    { flags: '--allow-refused', description: 'also allow the denied calls' },
    {
      flags: '--allow-privileged',
      description: 'write privileged_containers = "allow" if a call in the logs needs it',
    },
    {
      flags: '--listener <name>',
      description: 'only calls on this listener; needed if a log has calls on several; may be repeated',
      repeatable: true,
    },
    { flags: '--unverified', description: 'read logs that do not verify' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config learn /run/kata-agent/audit.log > learnt.toml',
      description: 'Then compare it with the current one: kata-agent-ctl config diff.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const listeners = options.texts('listener');
    const evidence = new Evidence(listeners.length === 0 ? undefined : listeners);
    const logs: string[] = [];
    for (const file of operands) {
      const { records, description } = await readEvidence(file, options.flag('unverified'));
      for (const record of records) evidence.add(operands.length === 1 ? '' : file, record);
      logs.push(description);
    }
    if (listeners.length === 0 && evidence.listeners.size > 1) throw mixed([...evidence.listeners]);
    const learnt = learn(evidence, {
      logs,
      allowRefused: options.flag('allowRefused'),
      allowPrivileged: options.flag('allowPrivileged'),
    });
    if (!options.json) for (const note of learnt.notes) io.stderr.write(`${programName}: note: ${note}\n`);
    const { asks, refused, notes, text } = learnt;
    const value = {
      configuration: text,
      asks: asks.map(({ method, facts, because }) => ({ method, facts, because })),
      refused,
      notes,
    };
    await print(invocation, value, () => text);
    return learnt.deniesPrivileged ? ExitCode.Mismatch : ExitCode.Success;
  },
};

/** A configuration from all of them would allow on each listener what was called on another. */
function mixed(names: readonly string[]): CommandError {
  const message = `the calls are on several listeners, ${names.join(', ')}, and each has its own rights`;
  return new CommandError(ExitCode.Usage, message, { help: names.map((name) => `--listener ${name}`) });
}

/** The records of an audit log, and a line that describes the log. */
interface ReadEvidence {
  readonly records: readonly AuditRecord[];
  readonly description: string;
}

/**
 * Reads a whole audit log and verifies it as `audit verify` does. A log that does not verify is a CommandError,
 * unless `unverified` is set.
 */
async function readEvidence(file: string, unverified: boolean): Promise<ReadEvidence> {
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
