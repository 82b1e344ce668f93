import { settings } from '@kata-agent/config';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { isAbsolute, resolve } from 'node:path';
import { versionText } from '../build.js';
import { defaultStateDirectory } from '../state/state-directory.js';

/** The parsed command line. */
export interface CommandLine {
  /** `serve`: run the agent. The others print and exit. */
  readonly task: 'serve' | 'check' | 'explain';
  readonly format: 'text' | 'json';
  readonly configFlag: string | undefined;
  readonly requireConfig: boolean;
  readonly relaxedPermissions: boolean;
  /** Absolute; undefined: the default. */
  readonly stateDirectory: string | undefined;
  /** Overrides of `[agent]` keys, by their TOML key. */
  readonly flags: Readonly<Record<string, string>>;
}

/**
 * The end of the program: the command line was wrong (2), or requested only help or the version (0); the text has been
 * printed.
 */
export class CommandLineEnd extends Error {
  override readonly name = 'CommandLineEnd';
  readonly exitCode: 0 | 2;

  constructor(exitCode: 0 | 2, cause: CommanderError) {
    super(cause.message, { cause });
    this.exitCode = exitCode;
  }
}

interface Options {
  readonly config?: string;
  readonly requireConfig?: boolean;
  readonly relaxedPermissions?: boolean;
  readonly stateDir?: string;
  readonly check?: boolean;
  readonly explain?: boolean;
  readonly format: 'text' | 'json';
}

/** The flags of `[agent]` keys, by commander's name. Generated from the settings table. */
const overrides = settings.flatMap(({ key, override, purpose, type }) =>
  override === undefined ? [] : [{ key, purpose, boolean: type.name === 'boolean', flag: override.flag }],
);

/** @throws CommandLineEnd if there is nothing more to do. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const program = command();
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw new CommandLineEnd(error.exitCode === 0 ? 0 : 2, error);
    throw error;
  }
  const options = program.opts<Options>();
  return {
    task: options.check === true ? 'check' : options.explain === true ? 'explain' : 'serve',
    format: options.format,
    configFlag: options.config,
    requireConfig: options.requireConfig === true,
    relaxedPermissions: options.relaxedPermissions === true,
    stateDirectory: options.stateDir,
    flags: flagValues(program),
  };
}

/** Returns the command with all its options. */
function command(): Command {
  const program = new Command('kata-agent')
    .description('The agent inside a Kata Containers virtual machine.')
    .version(versionText())
    .exitOverride()
    .option(
      '-c, --config <file>',
      'the configuration (TOML); default: /etc/kata-agent/config.toml if it exists',
    )
    .option('--require-config', 'do not start without a configuration')
    .option(
      '--relaxed-permissions',
      'for development: accept a configuration that other users own or can write',
    )
    .addOption(
      new Option(
        '--state-dir <dir>',
        `for development and tests: the directory for the agent's state; default: ${defaultStateDirectory}`,
      ).argParser(statePath),
    )
    .addOption(new Option('--check', 'load the configuration, print errors, and exit').conflicts('explain'))
    .option('--explain', 'print each value and endpoint and what decided it, and exit')
    .addOption(
      new Option('--format <format>', 'output format of --check and --explain')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText(
      'after',
      '\nExample: kata-agent -c /etc/kata-agent/config.toml --server-addr unix:///run/agent.sock',
    )
    .allowExcessArguments(false);
  for (const { flag, boolean, purpose } of overrides) {
    program.addOption(new Option(`${flag} ${boolean ? '[value]' : '<value>'}`, purpose));
  }
  return program;
}

/** Sockets are below it, and the kernel limits a socket's path to 107 bytes. */
const longestStatePath = 80;

/** @throws InvalidArgumentError */
function statePath(text: string): string {
  if (!isAbsolute(text)) throw new InvalidArgumentError('It must be an absolute path, such as /tmp/agent.');
  const path = resolve(text);
  if (Buffer.byteLength(path) > longestStatePath)
    throw new InvalidArgumentError(
      `It must have ${longestStatePath} bytes at most: sockets are made below it.`,
    );
  return path;
}

/** Returns the given text: commander sets a value for `--no-proxy` also if it is absent. */
function flagValues(program: Command): Readonly<Record<string, string>> {
  const given = overrides.flatMap(({ key, flag }) => {
    const name = new Option(flag).attributeName();
    const written = program.getOptionValueSource(name) === 'cli';
    return written ? [[key, String(program.getOptionValue(name))] as const] : [];
  });
  return Object.fromEntries(given);
}
