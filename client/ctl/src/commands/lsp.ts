import { existsSync } from 'node:fs';
import { type CommandDefinition, CommandError, ExitCode, version } from '@kata-agent/cli';
import { programName } from '../program-name.js';

/** Not beside a bundle. */
const codesPage = new URL('../../../../docs/reference/codes.md', import.meta.url);

export const lsp: CommandDefinition = {
  path: 'lsp',
  summary: 'serve an editor: errors, completion and descriptions of configurations (LSP)',
  details: [
    'A language server on standard input and output, which an editor starts. It reports what config check reports for the text as it is written, completes sections, keys, values and endpoints, and the names, fields and functions in expressions of rules, describes what the cursor is on, and puts the usual spaces into expressions. It reads no file and calls no agent.',
    'docs/editors.md shows how to use it with VS Code, Neovim and Helix. Exits with 0 after shutdown and exit, and with 1 if the client ends without them or sends something else than messages of LSP.',
  ],
  options: [{ flags: '--stdio', description: 'accepted, since many editors pass it: there is no other way' }],
  examples: [
    {
      line: 'kata-agent-ctl lsp --stdio',
      description: 'What an editor runs; docs/editors.md has the lines for VS Code, Neovim and Helix.',
    },
  ],
  run: async ({ io }) => {
    const { serveLanguage } = await import('@kata-agent/language-server');
    const end = await serveLanguage({
      input: io.stdin,
      output: io.stdout,
      server: { name: programName, version },
      codesPage: existsSync(codesPage) ? codesPage : undefined,
    });
    // Otherwise a client that keeps its end open would keep the process.
    io.stdin.destroy();
    switch (end.kind) {
      case 'exit':
        return ExitCode.Success;
      case 'no shutdown':
        throw new CommandError(ExitCode.Failed, 'the client ended the session without shutdown', {
          help: ['an editor starts this command; docs/editors.md shows how'],
        });
      case 'broken':
        throw new CommandError(ExitCode.Failed, `the session with the client is broken: ${end.reason}`, {
          help: ['an editor starts this command; docs/editors.md shows how'],
        });
    }
  },
};
