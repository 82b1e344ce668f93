import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** Standard input; the two members exist when it is a terminal. */
interface Input extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

/** Standard output or error; the members exist when it is a terminal. `resize` is emitted when its size changes. */
export interface Output extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** All that a command may touch of the process it runs in, so that tests can stand in for the process. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Emits signals by their names (`SIGINT`). */
  readonly signals: Pick<EventEmitter, 'on' | 'off'>;
}
