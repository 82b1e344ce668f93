import type { Duplex } from 'node:stream';
import type { StreamName } from '../actions.js';
import type { ProcessStreams } from '../stdio/process-streams.js';
import { closePassed, type PassedStdio } from './passed-stdio.js';

const mostAtOnce = 64 * 1024;

/** What passes between a process and connections of the host's. */
export interface Passing {
  /** Resolves when all output has been handed to the kernel, or nobody is there to have it. */
  readonly delivered: Promise<void>;
  /** What may be read has changed: ends the connections of a host that may not have them any more. */
  reconsider(): void;
  /** Ends the connections now. */
  end(): void;
}

/**
 * Copies a process's output to connections and their input to it. A host that closes an output early loses the rest of it:
 * it is read and thrown away, so that the process does not stop at a full pipe.
 *
 * @param terminal the end of stdin is not typed into a terminal: others may type there yet, as for Kata's agent.
 */
export function passStdio(streams: ProcessStreams, stdio: PassedStdio, terminal: boolean): Passing {
  const over = new AbortController();
  // Who has gone is noticed by what is written next; the error itself says no more.
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
  // The host sends nothing here; its end is seen only by who reads.
  connection.resume();
  try {
    for (;;) {
      const data = await streams.read(name, mostAtOnce, signal);
      if (data.length === 0) return await finish(connection);
      if (!connection.destroyed && !connection.write(data)) await writable(connection);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** When it takes more, or never will. */
async function writable(connection: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      connection.off('drain', go).off('close', go);
      resolve();
    };
    connection.on('drain', go).on('close', go);
  });
}

/** The host reads the end after all that was written; its own side of the connection is of no use then. */
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
    // One end is gone, the host's or the process's: the other has nobody to talk to.
    connection.destroy();
  }
  if (!terminal) streams.closeInput();
}
