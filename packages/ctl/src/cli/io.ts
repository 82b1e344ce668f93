import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** Standard input; the two members exist if it is a terminal. */
interface Input extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

/**
 * Standard output or error; the members exist if it is a terminal. `resize` is emitted when the terminal's size
 * changes.
 */
export interface Output extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** The parts of the process that a command can use. Tests replace them. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Emits signals by name (`SIGINT`). */
  readonly signals: Pick<EventEmitter, 'on' | 'off'>;
}
