import { Command, type CommanderError, CommanderError as ParseFailure, Option } from 'commander';
import { commandGroups, commands } from '../commands/index.js';
import { connectionOptions } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { styleFor } from '../output/style.js';
import type { CommandDefinition, OptionRow } from './definition.js';
import type { Io } from './io.js';
import { Options } from './options.js';
import { programName, reportFailure } from './report.js';
import { version } from './version.js';

const formatOption: OptionRow = {
  flags: '--format <format>',
  says: 'for people, or for programs',
  choices: ['text', 'json'],
  fallback: 'text',
};

/** Runs one command line (without the program's name); resolves with the exit code. Never rejects. */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  const done: { code: number } = { code: ExitCode.Fine };
  const json = asksForJson(argv);
  const perform: Perform = async (definition, operands, options) => {
    try {
      done.code = await definition.run({ operands, options, io });
    } catch (error) {
      const code = reportFailure(error, io, options.json);
      done.code = definition.workload === true ? ExitCode.OursInRun : code;
    }
  };
  const program = createProgram(io, perform, json);
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    return reportFailure(error, io, json);
  }
  return done.code;
}

/** Wrong use is told in the format that was asked for, too: before there are options to look at. */
function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (word, index) => word === '--format=json' || (word === 'json' && argv[index - 1] === '--format'),
  );
}

type Perform = (
  definition: CommandDefinition,
  operands: readonly string[],
  options: Options,
) => Promise<void>;

/** Commander's tree of all commands, made from their rows. With `json`, wrong use is left to the caller to tell. */
export function createProgram(io: Io, perform: Perform, json = false): Command {
  const program = new Command(programName)
    .description(
      'Talks to a Kata agent, and checks its configurations and audit logs, from outside the guest.',
    )
    .version(version, '-V, --version', 'print the version of this program')
    .enablePositionalOptions()
    .showHelpAfterError(helpHint('[command]'))
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => (json ? undefined : io.stderr.write(text)),
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 100),
      getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 100),
      getOutHasColors: () => styleFor(io.stdout, io.environment).enabled,
      getErrHasColors: () => styleFor(io.stderr, io.environment).enabled,
    })
    .configureHelp({ styleTitle: (text) => `\u001b[1m${text}\u001b[22m` })
    .exitOverride(exitAs(ExitCode.Usage));
  addOptions(program, connectionOptions);
  program.addHelpText('after', `\nAn example:\n  $ ${programName} check --address unix:///run/agent.sock`);
  for (const definition of commands) {
    const [first = '', second] = definition.path.split(' ');
    addCommand(second === undefined ? program : group(program, first), second ?? first, definition, perform);
  }
  return program;
}

/** The command that the group's commands are below; made when the first of them is added. */
function group(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  if (known !== undefined) return known;
  const row = commandGroups.find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`no group is called ${name}`);
  return program
    .command(name)
    .description(row.summary)
    .addHelpText('after', examplesText([row.example]))
    .showHelpAfterError(helpHint(name))
    .exitOverride(exitAs(ExitCode.Usage));
}

function addCommand(parent: Command, name: string, definition: CommandDefinition, perform: Perform): void {
  const command = parent.command(name).summary(definition.summary);
  command.description([definition.summary, ...(definition.details ?? [])].join('\n\n'));
  for (const operand of definition.operands ?? []) command.argument(operand.syntax, operand.says);
  addOptions(command, definition.options ?? []);
  if (definition.formats === true) addOptions(command, [formatOption]);
  if (definition.connects === true) addOptions(command, connectionOptions);
  if (definition.workload === true) command.passThroughOptions();
  command.addHelpText('after', examplesText(definition.examples));
  command.showHelpAfterError(helpHint(definition.path));
  command.exitOverride(exitAs(definition.workload === true ? ExitCode.OursInRun : ExitCode.Usage));
  command.action(async () => {
    const options = new Options({ ...rootOptions(command), ...command.opts() });
    await perform(definition, command.args, options);
  });
}

/** Options that stood before the command's name. */
function rootOptions(command: Command): Record<string, unknown> {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return root.opts();
}

function addOptions(command: Command, rows: readonly OptionRow[]): void {
  for (const row of rows) {
    const option = new Option(row.flags, row.says);
    if (row.choices !== undefined) option.choices(row.choices);
    if (row.fallback !== undefined) option.default(row.fallback);
    if (row.repeatable === true) {
      option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
    }
    command.addOption(option);
  }
}

function helpHint(command: string): string {
  return `For help: ${programName} ${command} --help`;
}

function examplesText(examples: CommandDefinition['examples']): string {
  const title = examples.length === 1 ? 'An example:' : 'Examples:';
  const lines = examples.flatMap(({ line, says }) => [`  $ ${line}`, `    ${says}`]);
  return `\n${title}\n${lines.join('\n')}`;
}

/** Commander's own exits: help and version are fine, all else is wrong use. */
function exitAs(code: ExitCode): (error: CommanderError) => never {
  return (error) => {
    throw new ParseFailure(error.exitCode === 0 ? ExitCode.Fine : code, error.code, error.message);
  };
}
