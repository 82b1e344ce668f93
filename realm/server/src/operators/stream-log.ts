import type { ServerResponse } from 'node:http';

const lineFeed = Buffer.from('\n');

/**
 * Writes records as lines, at the pace of the reader. Resolves when all are written or the reader is gone. A reader that
 * takes nothing for `stallMs` loses its connection, without the end of the answer, and can resume after its last record.
 * Rethrows errors of `records`.
 */
export async function streamLog(
  response: ServerResponse,
  records: (signal: AbortSignal) => AsyncIterable<readonly Uint8Array[]>,
  stallMs: number,
): Promise<void> {
  const over = new AbortController();
  const stop = (): void => over.abort();
  response.once('close', stop);
  try {
    for await (const lines of records(over.signal)) {
      if (over.signal.aborted) return;
      const bytes = Buffer.concat(lines.flatMap((line) => [line, lineFeed]));
      if (!response.write(bytes) && !(await drained(response, stallMs))) {
        response.destroy();
        return;
      }
    }
    if (!over.signal.aborted) response.end();
  } finally {
    response.off('close', stop);
  }
}

/** Resolves with whether the reader has taken what was written; false after `stallMs`, or when it is gone. */
function drained(response: ServerResponse, stallMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (result: boolean): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      resolve(result);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const timer = setTimeout(() => settle(false), stallMs);
    response.on('drain', onDrain).on('close', onClose);
    if (response.destroyed) settle(false);
  });
}
