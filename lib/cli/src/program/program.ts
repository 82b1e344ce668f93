import { PassThrough } from 'node:stream';
import { Command, CommanderError, Option } from 'commander';
import { connectionOptions, connectionOptionsOf } from '../connection/with-agent.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import { plainIo } from '../output/plain-output.js';
import { styleFor } from '../output/text.js';
import type { CommandDefinition, MovedCommand, OptionRow, Program } from '../command/definition.js';
import type { Io } from '../command/io.js';
import { Options } from '../command/options.js';
import { completionCommand } from '../completion/completion-command.js';
import { completionTable } from '../completion/completion-table.js';
import { CallError } from '../connection/agent.js';
import { explainFailure, renderRefusal } from './refusal.js';
import { version } from './version.js';

const formatOption: OptionRow = {
  flags: '--format <format>',
  description: 'output for people or for programs',
  choices: ['text', 'json'],
  fallback: 'text',
};

/** Runs one command line (without the program's name) and resolves with the exit code. Never rejects. */
export async function runProgram(program: Program, argv: readonly string[], streams: Io): Promise<number> {
  const io = plainIo(streams);
  const done: { code: number } = { code: ExitCode.Success };
  const json = asksForJson(argv);
  const perform: Perform = async (definition, operands, options) => {
    try {
      done.code = await definition.run({ operands, options, io });
    } catch (error) {
      const code = reportFailure(program.name, error, io, options.json);
      done.code = definition.workload === true ? ExitCode.OursInRun : code;
    }
  };
  const parser = createParser(program, io, perform, json);
  try {
    await parser.parseAsync(argv[0] === 'help' ? helpOf(parser, argv.slice(1)) : argv, { from: 'user' });
  } catch (error) {
    return reportFailure(program.name, error, io, json);
  }
  return done.code;
}

/** Returns `config check --help` for the words of `help config check`; an unknown command is left to be refused. */
function helpOf(parser: Command, path: readonly string[]): readonly string[] {
  let command: Command | undefined = parser;
  for (const word of path) command = command?.commands.find((each) => each.name() === word);
  return command === undefined ? path : [...path, '--help'];
}

/** Reads --format before the options are parsed, so that wrong use is also reported in that format. */
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

/** Builds commander's tree of all commands. With `json`, the caller reports wrong use. */
export function createParser(program: Program, io: Io, perform: Perform, json = false): Command {
  const parser = new Command(program.name)
    .description(program.description)
    .version(version, '-V, --version', 'print the version of this program')
    .enablePositionalOptions()
    .showHelpAfterError(helpHint(program.name, '[command]'))
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
  addOptions(parser, connectionOptions);
  parser.addHelpText('after', `\nExample:\n  $ ${program.example}`);
  const completion = completionCommand(program.name, () => completionTable(parser, definitions));
  const definitions = [...program.commands, completion];
  for (const definition of definitions) {
    const [parent, name] = placeOf(program, parser, definition.path);
    addCommand(program.name, parent, name, definition, perform);
  }
  for (const moved of program.moved ?? []) {
    const [parent, name] = placeOf(program, parser, moved.path);
    addMoved(program.name, parent, name, moved);
  }
  return parser;
}

/** Returns the parent of a command, and the last word of its path. */
function placeOf(program: Program, parser: Command, path: string): readonly [Command, string] {
  const [first = '', second] = path.split(' ');
  return second === undefined ? [parser, first] : [group(program, parser, first), second];
}

/** Returns the parent command of a group, created on first use. */
function group({ name: programName, groups }: Program, parser: Command, name: string): Command {
  const known = parser.commands.find((command) => command.name() === name);
  if (known !== undefined) return known;
  const row = groups.find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`unknown group ${name}`);
  return parser
    .command(name)
    .description(row.summary)
    .addHelpText('after', examplesText([row.example]))
    .showHelpAfterError(helpHint(programName, name))
    .exitOverride(exitAs(ExitCode.Usage));
}

function addCommand(
  programName: string,
  parent: Command,
  name: string,
  definition: CommandDefinition,
  perform: Perform,
): void {
  const command = parent.command(name).summary(definition.summary);
  command.description([definition.summary, ...(definition.details ?? [])].join('\n\n'));
  for (const operand of definition.operands ?? []) command.argument(operand.syntax, operand.description);
  addOptions(command, definition.options ?? []);
  if (definition.formats === true) addOptions(command, [formatOption]);
  addOptions(command, connectionOptionsOf(definition));
  if (definition.workload === true) command.passThroughOptions();
  command.addHelpText('after', examplesText(definition.examples));
  command.showHelpAfterError(helpHint(programName, definition.path));
  command.exitOverride(exitAs(definition.workload === true ? ExitCode.OursInRun : ExitCode.Usage));
  command.action(async () => {
    const options = new Options({ ...rootOptions(command), ...command.opts() });
    await perform(definition, command.args, options);
  });
}

/** Adds a command of another program, which only says so: it is in no help, and takes any words. */
function addMoved(programName: string, parent: Command, name: string, { path, to }: MovedCommand): void {
  parent
    .command(name, { hidden: true })
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .action(() => {
      throw new CommandError(ExitCode.Usage, `${programName} ${path} is now ${to}`, {
        help: [`run ${to} with the same options`],
      });
    });
}

/** Options given before the command's name. */
function rootOptions(command: Command): Record<string, unknown> {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return root.opts();
}

function addOptions(command: Command, rows: readonly OptionRow[]): void {
  for (const row of rows) {
    const option = new Option(row.flags, row.description);
    if (row.choices !== undefined) option.choices(row.choices);
    if (row.fallback !== undefined) option.default(row.fallback);
    if (row.repeatable === true) {
      option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
    }
    command.addOption(option);
  }
}

function helpHint(program: string, command: string): string {
  return `for help: ${program} ${command} --help`;
}

function examplesText(examples: CommandDefinition['examples']): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  const lines = examples.flatMap(({ line, description }) => [`  $ ${line}`, `    ${description}`]);
  return `\n${title}\n${lines.join('\n')}`;
}

/** Maps commander's own exits: help and version succeed, everything else is wrong use. */
function exitAs(code: ExitCode): (error: CommanderError) => never {
  return (error) => {
    throw new CommanderError(error.exitCode === 0 ? ExitCode.Success : code, error.code, error.message);
  };
}

/** Prints on standard error why a command of a program failed, in the requested format, and returns the exit code. */
function reportFailure(program: string, error: unknown, io: Io, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has already printed its message in text format; help is not a failure.
    if (json && error.exitCode !== ExitCode.Success) {
      const message =
        error.code === 'commander.help' ? 'missing command' : error.message.replace(/^error: /, '').trim();
      io.stderr.write(`${JSON.stringify({ error: { kind: 'command', message, help: [] } })}\n`);
    }
    return error.exitCode;
  }
  // EPIPE is not an error: the reader has enough (`… | head`).
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return ExitCode.Success;
  const failure = describe(program, error);
  if (json) io.stderr.write(`${JSON.stringify(failure.json)}\n`);
  else io.stderr.write(text(program, failure.lines, io));
  return failure.exitCode;
}

interface Failure {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
  readonly json: object;
}

function describe(program: string, error: unknown): Failure {
  if (error instanceof CallError) {
    const refusal = explainFailure(error);
    return { exitCode: ExitCode.Failed, lines: renderRefusal(refusal), json: { error: refusal } };
  }
  if (error instanceof CommandError) {
    const { exitCode, message, help, diagnostics } = error;
    return {
      exitCode,
      lines: [message, ...help],
      json: { error: { kind: 'command', message, help, diagnostics } },
    };
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    exitCode: ExitCode.Failed,
    lines: [`this is a bug in ${program}:`, ...trace.split('\n')],
    json: { error: { kind: 'internal', message: trace } },
  };
}

function text(program: string, lines: readonly string[], io: Io): string {
  const style = styleFor(io.stderr, io.environment);
  const [headline = '', ...rest] = lines;
  const name = style.bold(style.red(`${program}:`));
  return [`${name} ${headline}\n`, ...rest.map((line) => `  ${line}\n`)].join('');
}

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
