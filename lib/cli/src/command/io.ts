import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';

/** Standard input; the two members exist if it is a terminal. */
interface Input extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

/**
 * Standard output or error; the members exist if it is a terminal. `resize` is emitted when the terminal's size
 * changes.
 */
export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): boolean;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
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

/** The real process. */
export function processIo(): Io {
  // The writer handles a failed write. Without this listener Node would exit on the error event, before `run` could
  // remove its container.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    signals: process,
  };
}
