import type { Invocation } from '../cli/definition.js';
import type { Output } from '../cli/io.js';

/** Prints a result once: as one line of JSON for programs, as text for people. */
export async function print(invocation: Invocation, value: unknown, text: () => string): Promise<void> {
  const { io, options } = invocation;
  await write(io.stdout, options.json ? `${JSON.stringify(value)}\n` : text());
}

/**
 * Writes, and waits until that is done, so that what is read from an agent is not piled up here. Rejects when nobody
 * reads any more (EPIPE).
 */
export function write(stream: Output, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
