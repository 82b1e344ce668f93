import type { Command } from 'commander';
import type { CommandDefinition } from '../command/definition.js';

/** What can be typed after the words that select a command or a group. */
export interface CompletionRow {
  /** The words after the program's name, each with a space before it: `` for the program itself, ` config check`. */
  readonly path: string;
  readonly words: readonly CompletedWord[];
  readonly options: readonly CompletedOption[];
}

/** A word with its one-line description. */
export interface CompletedWord {
  readonly word: string;
  readonly description: string;
}

interface CompletedOption {
  /** `-f`, `--file` */
  readonly names: readonly string[];
  readonly description: string;
  /** Whether the next word is its value. */
  readonly takesValue: boolean;
  /** The values that it can have; empty: any, and shells propose files. */
  readonly values: readonly string[];
}

/** Returns the rows of a parsed program and of all its visible commands, in the order of its help. */
export function completionTable(
  parser: Command,
  definitions: readonly CommandDefinition[],
): readonly CompletionRow[] {
  return rowsOf(parser, '', definitions);
}

function rowsOf(
  command: Command,
  path: string,
  definitions: readonly CommandDefinition[],
): readonly CompletionRow[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const operands = definitions.find((definition) => ` ${definition.path}` === path)?.operands ?? [];
  return [
    {
      path,
      words: [
        ...children.map((child) => ({
          word: child.name(),
          description: plain(child.summary() || child.description()),
        })),
        ...operands.flatMap(({ suggestions = [] }) => suggestions).map((word) => ({ word, description: '' })),
      ],
      options: help.visibleOptions(command).map((option) => ({
        names: [option.short, option.long].filter((name) => name !== undefined),
        description: plain(option.description),
        takesValue: option.required || option.optional,
        values: option.argChoices ?? [],
      })),
    },
    ...children
      .filter((child) => child.name() !== 'help')
      .flatMap((child) => rowsOf(child, `${path} ${child.name()}`, definitions)),
  ];
}

/** With typographic apostrophes, since each shell escapes the other in its own way. */
function plain(text: string): string {
  return text.replaceAll("'", '’');
}
