import type { CommandDefinition } from '../command/definition.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import type { CompletionRow } from './completion-table.js';
import { completionScript, type Shell, shells } from './completion-script.js';

/** Returns the command by which a program prints its completion. */
export function completionCommand(program: string, table: () => readonly CompletionRow[]): CommandDefinition {
  return {
    path: 'completion',
    summary: 'print a script that completes command lines of this program in a shell',
    details: ['The script has all words in it and starts nothing: print it again after an upgrade.'],
    operands: [{ syntax: '<shell>', description: 'bash, zsh or fish', suggestions: shells }],
    examples: [
      {
        line: `${program} completion bash > ~/.local/share/bash-completion/completions/${program}`,
        description: 'For bash with Debian’s bash-completion, from the next shell on.',
      },
    ],
    run({ operands: [shell = ''], io }) {
      if (!isShell(shell))
        return Promise.reject(
          new CommandError(ExitCode.Usage, `no completion for ${JSON.stringify(shell)}`, {
            help: [`it is one of ${shells.join(', ')}`],
          }),
        );
      io.stdout.write(completionScript(shell, program, table()));
      return Promise.resolve(ExitCode.Success);
    },
  };
}

function isShell(text: string): text is Shell {
  return shells.some((shell) => shell === text);
}
