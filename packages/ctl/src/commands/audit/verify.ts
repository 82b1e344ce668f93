import {
  formatHead,
  parseHead,
  type Position,
  type Problem,
  verify,
  type VerifyReport,
} from '@kata-agent/audit';
import type { CommandDefinition, Invocation } from '../../cli/definition.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { type Style, styleFor } from '../../output/style.js';
import { logOperand, withLog } from './log-file.js';

export const auditVerify: CommandDefinition = {
  path: 'audit verify',
  summary: 'check every record of an audit log',
  details: [
    'Finds a changed byte, a record that was removed, added or moved, and, given a head that was kept elsewhere, an end that was cut off. Works while the log is being written. Ends with 4 when something is wrong, or the log is gone or empty. Without a head it shows that the records fit each other, not that they are those that were written: who can write the file can write all of it anew.',
  ],
  operands: [logOperand],
  options: [
    {
      flags: '--head <sequence:hash>',
      says: 'a head that audit head printed earlier; the log has to contain it',
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit verify /run/kata-agent/audit.log --head "$(cat head)"',
      says: 'Checks the log against a head that was kept.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const head = keptHead(invocation);
    const report = await withLog(file, ExitCode.Mismatch, () =>
      verify(file, head === undefined ? {} : { head }),
    );
    const style = styleFor(invocation.io.stdout, invocation.io.environment);
    await print(invocation, report, () => reportText(report, head !== undefined, style));
    return report.ok ? ExitCode.Fine : ExitCode.Mismatch;
  },
};

function keptHead({ options }: Invocation): Position | undefined {
  const text = options.text('head');
  if (text === undefined) return undefined;
  const head = parseHead(text.trim());
  if (head !== undefined) return head;
  throw new CommandError(
    ExitCode.Usage,
    `--head '${text}': it has to be a sequence number, a colon and a hash`,
    {
      help: ['As kata-agent-ctl audit head prints it.'],
    },
  );
}

function reportText(report: VerifyReport, anchored: boolean, style: Style): string {
  const range = report.first === undefined ? '' : `, ${report.first} to ${report.last ?? report.first}`;
  const segments = report.segments.length === 1 ? '1 segment' : `${report.segments.length} segments`;
  const lines = [
    `${report.ok ? style.green('ok') : style.red('not ok')}: ${report.records} records${range}, in ${segments}`,
  ];
  if (report.removed > 0)
    lines.push(`records 1 to ${report.removed} were removed by rotation; ${report.kept} of them were kept`);
  if (report.unfinishedBytes > 0)
    lines.push(`the last line is still being written (${report.unfinishedBytes} bytes)`);
  for (const problem of report.problems) lines.push(style.red(problemText(problem)));
  if (report.unlisted > 0) lines.push(`and ${report.unlisted} more problems`);
  lines.push(`head: ${formatHead(report.head)}`);
  if (report.ok && !anchored) {
    lines.push('without --head, a log whose end was cut off or that was written anew is not noticed');
  }
  return lines.map((line) => `${line}\n`).join('');
}

function problemText({ segment, line, sequence, what }: Problem): string {
  const place = segment === undefined ? '' : `${segment}${line === undefined ? '' : `:${line}`}: `;
  return `${place}${sequence === undefined ? '' : `record ${sequence}: `}${what}`;
}
