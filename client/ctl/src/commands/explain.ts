import { codes, findCode } from '@kata-agent/catalogue/codes';
import { nearest } from '@kata-agent/config';
import { type CommandDefinition, CommandError, ExitCode, printReport, styleFor } from '@kata-agent/cli';
import { statuses } from '../output/statuses.js';
import { codePage, codesTable, statusPage } from '../output/code-text.js';

export const explain: CommandDefinition = {
  path: 'explain',
  summary: 'explain the code of an error, warning or denied call',
  details: [
    'Prints what a code such as KA1201 means, an example that causes it, and how to fix it. Without a code, lists all codes. The name of a ttRPC status, such as UNIMPLEMENTED, is explained as well. No agent is called. A code keeps its meaning in later versions; the text of a message may change.',
  ],
  operands: [
    {
      syntax: '[code]',
      description: 'a code, or the name of a ttRPC status',
      suggestions: [...Object.keys(codes), ...statuses.flatMap(({ status }) => status.split(', '))],
    },
  ],
  examples: [
    { line: 'kata-agent-ctl explain KA1201', description: 'Prints the page of error[KA1201].' },
    {
      line: 'kata-agent-ctl explain UNAVAILABLE',
      description: 'Prints when an agent answers with this status.',
    },
    { line: 'kata-agent-ctl explain', description: 'Lists all codes.' },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, io } = invocation;
    const style = styleFor(io.stdout, io.environment);
    const [text] = operands;
    if (text === undefined) {
      const rows = Object.entries(codes).map(([code, row]) => ({ code, ...row }));
      await printReport(invocation, { codes: rows }, () => codesTable(style));
      return ExitCode.Success;
    }
    const status = statuses.find((row) => row.status.split(', ').includes(text.toUpperCase()));
    if (status !== undefined) {
      await printReport(invocation, status, (width) => statusPage(status, width, style));
      return ExitCode.Success;
    }
    const code = findCode(text);
    if (code === undefined) throw unknown(text);
    await printReport(invocation, { code, ...codes[code] }, (width) => codePage(code, width, style));
    return ExitCode.Success;
  },
};

function unknown(text: string): CommandError {
  const near = nearest(text, [
    ...Object.keys(codes),
    ...statuses.flatMap(({ status }) => status.split(', ')),
  ]);
  return new CommandError(ExitCode.Usage, `unknown code '${text}'`, {
    help: [...(near === undefined ? [] : [`did you mean ${near}?`]), 'list all: kata-agent-ctl explain'],
  });
}
