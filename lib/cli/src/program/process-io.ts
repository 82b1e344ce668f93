import type { Io } from '../command/io.js';

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
