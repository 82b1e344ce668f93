import type { Io } from './io.js';
import type { Options } from './options.js';

/** An operand in commander's syntax: `<file>` has to be there, `[file]` may, `[args...]` takes the rest. */
interface OperandRow {
  readonly syntax: string;
  readonly says: string;
}

export interface OptionRow {
  /** In commander's syntax: `-e, --env <name=value>`. */
  readonly flags: string;
  readonly says: string;
  readonly choices?: readonly string[];
  readonly fallback?: string;
  /** May be given more than once; all values are kept, in order. */
  readonly repeatable?: boolean;
}

interface ExampleRow {
  readonly line: string;
  readonly says: string;
}

/** What a command is given: its operands and options, and the process around it. */
export interface Invocation {
  readonly operands: readonly string[];
  readonly options: Options;
  readonly io: Io;
}

/** One command as a row: parser, help and reference page are made from it. */
export interface CommandDefinition {
  /** The words that call it: `check`, `audit verify`. */
  readonly path: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details?: readonly string[];
  readonly operands?: readonly OperandRow[];
  readonly options?: readonly OptionRow[];
  readonly examples: readonly ExampleRow[];
  /** Calls an agent: has `--address` and `--timeout`. */
  readonly connects?: boolean;
  /** Has `--format`; errors are printed in that format too. */
  readonly formats?: boolean;
  /** Passes on a workload's exit code: what comes after the first operand is the workload's, our own failures are 125. */
  readonly workload?: boolean;
  /** Resolves with the exit code; rejects with a CommandError or CallError. */
  readonly run: (invocation: Invocation) => Promise<number>;
}

/** Commands that share a first word. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly example: ExampleRow;
}
