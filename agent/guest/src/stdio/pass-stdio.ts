import type { Duplex } from 'node:stream';
import { closePassed, type PassedStdio, type StreamName } from '../request/actions.js';
import type { Passing, ProcessStreams } from './process-streams.js';

const maxAtOnce = 64 * 1024;

/**
 * Copies a process's output to connections, and their input to it. If the host closes an output early, the rest is read
 * and discarded, so that the process does not block on a full pipe.
 *
 * @param terminal does not forward the end of stdin to a terminal: others may write there later, as with Kata's agent.
 */
export function passStdio(streams: ProcessStreams, stdio: PassedStdio, terminal: boolean): Passing {
  const over = new AbortController();
  // A closed peer is detected by the next write; the error event adds nothing.
  for (const connection of [stdio.stdin, stdio.stdout, stdio.stderr])
    connection?.on('error', () => connection.destroy());
  const outputs = (['stdout', 'stderr'] as const).map((name) =>
    copyOut(streams, name, stdio[name], over.signal),
  );
  if (stdio.stdin !== undefined) void copyIn(stdio.stdin, streams, terminal);
  const end = (): void => {
    over.abort();
    closePassed(stdio);
  };
  return {
    delivered: Promise.all(outputs).then(() => undefined),
    reconsider: () => {
      if (!stdio.admitted()) end();
    },
    end,
  };
}

async function copyOut(
  streams: ProcessStreams,
  name: StreamName,
  connection: Duplex | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (connection === undefined) return;
  // The host sends nothing on this connection, but its close is only detected by reading.
  connection.resume();
  try {
    for (;;) {
      const data = await streams.read(name, maxAtOnce, { signal });
      if (data.length === 0) return await finish(connection);
      if (!connection.destroyed && !connection.write(data)) await writable(connection);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Resolves when it can take more, or has closed. */
async function writable(connection: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      connection.off('drain', go).off('close', go);
      resolve();
    };
    connection.on('drain', go).on('close', go);
  });
}

/** Sends an end of file after all output; input from the host is then of no use. */
async function finish(connection: Duplex): Promise<void> {
  if (connection.destroyed) return;
  await new Promise<void>((resolve) => {
    connection.once('close', resolve);
    connection.end(() => connection.destroy());
  });
}

async function copyIn(connection: Duplex, streams: ProcessStreams, terminal: boolean): Promise<void> {
  try {
    for await (const data of connection as AsyncIterable<Buffer>) await streams.write(data);
  } catch {
    // Either end has closed: closes the other.
    connection.destroy();
  }
  if (!terminal) streams.closeInput();
}
