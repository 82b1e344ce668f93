import { helpText } from '@kata-agent/cli';
import { program } from '../program.js';
import { pageHead } from './markdown.js';

const purpose = `\nThe help of every command, as the program prints it. Commands below \`config\` and \`audit\` work on files, on any machine, without an agent.\n`;

/** docs/reference/commands.md: the help of every command, as the program prints it. */
export function commandsPage(): string {
  return `${pageHead('Commands of kata-agent-ctl', 'client/ctl/src/commands')}${purpose}${helpText(program)}`;
}
