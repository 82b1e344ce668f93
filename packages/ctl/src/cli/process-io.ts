import type { Io } from './io.js';

/** The process itself. */
export function processIo(): Io {
  // A failed write is told to whoever wrote; without a listener Node would also end the program there and then,
  // and a container that was to be removed would stay.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    signals: process,
  };
}
