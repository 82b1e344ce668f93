import { settings } from '@kata-agent/config';
import { isAbsolute, resolve } from 'node:path';
import { versionText } from './build.js';
import { describeFlag, type Flag, parseFlags, UsageError } from './flags.js';
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

  constructor(exitCode: 0 | 2, options?: ErrorOptions) {
    super(exitCode === 0 ? 'the text was printed' : 'the command line is wrong', options);
    this.exitCode = exitCode;
  }
}

const ownFlags: readonly Flag[] = [
  { name: 'version', letter: 'V', purpose: 'output the version number' },
  {
    name: 'config',
    letter: 'c',
    value: 'file',
    purpose: 'the configuration (TOML); default: /etc/kata-agent/config.toml if it exists',
  },
  { name: 'require-config', purpose: 'do not start without a configuration' },
  {
    name: 'relaxed-permissions',
    purpose: 'for development: accept a configuration that other users own or can write',
  },
  {
    name: 'state-dir',
    value: 'dir',
    purpose: `for development and tests: the directory for the agent's state; default: ${defaultStateDirectory}`,
  },
  { name: 'check', purpose: 'load the configuration, print errors, and exit' },
  { name: 'explain', purpose: 'print each value and endpoint and what decided it, and exit' },
  {
    name: 'format',
    value: 'format',
    purpose: 'output format of --check and --explain: text (the default) or json',
  },
];

const helpFlag: Flag = { name: 'help', letter: 'h', purpose: 'print this help' };

/** The flags of `[agent]` keys. Generated from the settings table. */
const overrides = settings.flatMap(({ key, override, purpose, type }) =>
  override === undefined
    ? []
    : [
        {
          key,
          flag: {
            name: override.flag.slice('--'.length),
            value: 'value',
            optionalValue: type.name === 'boolean',
            purpose,
          },
        },
      ],
);

/** @throws CommandLineEnd if there is nothing more to do. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  try {
    return read(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`error: ${error.message}\nhelp: kata-agent --help lists the options\n`);
    throw new CommandLineEnd(2, { cause: error });
  }
}

function read(argv: readonly string[]): CommandLine {
  const flags = [...ownFlags, ...overrides.map(({ flag }) => flag), helpFlag];
  const given = parseFlags(flags, argv);
  if (given.has('help')) throw printed(helpText(flags));
  if (given.has('version')) throw printed(versionText());
  if (given.has('check') && given.has('explain'))
    throw new UsageError("option '--check' cannot be used with option '--explain'");
  const format = given.get('format') ?? 'text';
  if (format !== 'text' && format !== 'json')
    throw new UsageError(
      `option '--format <format>' argument '${format}' is invalid: it must be text or json`,
    );
  const stateDirectory = given.get('state-dir');
  return {
    task: given.has('check') ? 'check' : given.has('explain') ? 'explain' : 'serve',
    format,
    configFlag: given.get('config'),
    requireConfig: given.has('require-config'),
    relaxedPermissions: given.has('relaxed-permissions'),
    stateDirectory: stateDirectory === undefined ? undefined : statePath(stateDirectory),
    flags: Object.fromEntries(
      overrides.flatMap(({ key, flag: { name } }) => {
        const value = given.get(name);
        return value === undefined ? [] : [[key, value]];
      }),
    ),
  };
}

function printed(text: string): CommandLineEnd {
  process.stdout.write(`${text}\n`);
  return new CommandLineEnd(0);
}

function helpText(flags: readonly Flag[]): string {
  const rows = flags.map((flag) => [describeFlag(flag), flag.purpose] as const);
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return [
    'Usage: kata-agent [options]',
    '',
    'The agent inside a Kata Containers virtual machine.',
    '',
    'Options:',
    ...rows.map(([flag, purpose]) => `  ${flag.padEnd(width)}  ${purpose}`),
    '',
    'Example: kata-agent -c /etc/kata-agent/config.toml --server-addr unix:///run/agent.sock',
  ].join('\n');
}

/** Sockets are below it, and the kernel limits a socket's path to 107 bytes. */
const longestStatePath = 80;

/** @throws UsageError */
function statePath(text: string): string {
  const refuse = (why: string): UsageError =>
    new UsageError(`option '--state-dir <dir>' argument '${text}' is invalid: ${why}`);
  if (!isAbsolute(text)) throw refuse('it must be an absolute path, such as /tmp/agent');
  const path = resolve(text);
  if (Buffer.byteLength(path) > longestStatePath)
    throw refuse(`it must have ${longestStatePath} bytes at most: sockets are made below it`);
  return path;
}
