import type { Io } from './io.js';
import type { Options } from './options.js';

/** An operand in commander's syntax: `<file>` is required, `[file]` is optional, `[args...]` takes the rest. */
interface OperandRow {
  readonly syntax: string;
  readonly description: string;
  /** Values that shells propose; others are possible. Without them shells propose files. */
  readonly suggestions?: readonly string[];
}

export interface OptionRow {
  /** In commander's syntax: `-e, --env <name=value>`. */
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly fallback?: string;
  /** Whether the option can be repeated; all values are kept, in order. */
  readonly repeatable?: boolean;
}

interface ExampleRow {
  readonly line: string;
  readonly description: string;
}

/** The input of a command: its operands and options, and the process around it. */
export interface Invocation {
  readonly operands: readonly string[];
  readonly options: Options;
  readonly io: Io;
}

/** One command. Parser, help and reference page are generated from it. */
export interface CommandDefinition {
  /** The words that select the command: `check`, `audit verify`. */
  readonly path: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details?: readonly string[];
  readonly operands?: readonly OperandRow[];
  readonly options?: readonly OptionRow[];
  readonly examples: readonly ExampleRow[];
  /** Whether the command calls an agent: adds `--address` and `--timeout`. `many`: `--address` can be repeated. */
  readonly connects?: boolean | 'many';
  /** Whether the command has `--format`; errors are printed in that format too. */
  readonly formats?: boolean;
  /**
   * Whether the command passes on a workload's exit code: arguments after the first operand belong to the workload,
   * and our own failures are 125.
   */
  readonly workload?: boolean;
  /** Resolves with the exit code; rejects with a CommandError or CallError. */
  readonly run: (invocation: Invocation) => Promise<number>;
}

/** A command that is of another program since the last release. */
export interface MovedCommand {
  readonly path: string;
  /** The program and its command. */
  readonly to: string;
}

/** A command line program. */
export interface Program {
  readonly name: string;
  readonly description: string;
  /** A whole line. */
  readonly example: string;
  /** First words that take a second word. */
  readonly groups: readonly CommandGroup[];
  /** Every command, in the order of the help. */
  readonly commands: readonly CommandDefinition[];
  readonly moved?: readonly MovedCommand[];
}

/** A group of commands with the same first word. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly example: ExampleRow;
}
