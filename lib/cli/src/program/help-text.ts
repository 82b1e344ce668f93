import { PassThrough } from 'node:stream';
import type { Program } from '../command/definition.js';
import type { Io } from '../command/io.js';
import { createParser } from './program.js';

/** Returns the help of a program and of each of its commands, as it prints them, in Markdown: a section each. */
export function helpText(program: Program): string {
  let text = '';
  const output = new PassThrough();
  const io: Io = { stdin: output, stdout: output, stderr: output, environment: {}, signals: output };
  const parser = createParser(program, io, () => Promise.resolve());
  const add = (command: typeof parser, path: string): void => {
    let help = '';
    command.configureOutput({ writeOut: (part) => (help += part), getOutHelpWidth: () => 100 });
    command.outputHelp();
    text += `\n## ${path}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`;
    for (const child of command.createHelp().visibleCommands(command))
      if (child.name() !== 'help') add(child, `${path} ${child.name()}`);
  };
  add(parser, parser.name());
  return text;
}
