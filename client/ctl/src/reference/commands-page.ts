import { PassThrough } from 'node:stream';
import type { Io } from '../cli/io.js';
import { createProgram } from '../cli/program.js';
import { pageHead } from './markdown.js';

const purpose = `\nThe help of every command, as the program prints it. Commands below \`config\` and \`audit\` work on files, on any machine, without an agent.\n`;

/** docs/reference/commands.md: the help of every command, as the program prints it. */
export function commandsPage(): string {
  let text = '';
  const output = new PassThrough();
  const io: Io = {
    stdin: output,
    stdout: output,
    stderr: output,
    environment: {},
    signals: output,
  };
  const program = createProgram(io, () => Promise.resolve());
  const add = (command: typeof program, path: string): void => {
    command.configureOutput({ writeOut: (part) => (help += part), getOutHelpWidth: () => 100 });
    let help = '';
    command.outputHelp();
    text += `\n## ${path}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`;
    for (const child of command.commands) {
      if (child.name() !== 'help') add(child, `${path} ${child.name()}`);
    }
  };
  add(program, program.name());
  return `${pageHead('Commands of kata-agent-ctl', 'client/ctl/src/commands')}${purpose}${text}`;
}
