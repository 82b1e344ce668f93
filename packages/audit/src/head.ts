import { genesis, positionOf, readRecord } from './chain.js';
import { lastLine } from './last-line.js';
import type { Position } from './record.js';
import { closeAll, openSnapshot } from './snapshot.js';

/**
 * Where a log stands: to be kept where the log's writer cannot change it, and given to `verify` later. Only the
 * last record is read. An empty log stands at record 0.
 *
 * @throws Error when there is no log, or its last line is not a record.
 */
export async function head(file: string): Promise<Position> {
  const segments = await openSnapshot(file);
  try {
    for (const { path, kept, handle } of segments.toReversed()) {
      if (kept) continue;
      const { line } = await lastLine(handle);
      if (line === undefined) continue;
      const read = readRecord(line);
      if (!read.ok) throw new Error(`${path} has no head: its last line is ${read.what}; run verify`);
      return positionOf(read.record);
    }
    return genesis;
  } finally {
    await closeAll(segments);
  }
}

/** As people keep it: `SEQUENCE:HASH`. */
export function formatHead(position: Position): string {
  return `${position.sequence}:${position.hash}`;
}

/** Reads what `formatHead` wrote; undefined when it is something else. */
export function parseHead(text: string): Position | undefined {
  const match = /^(0|[1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text);
  const [, sequence, hash] = match ?? [];
  return sequence === undefined || hash === undefined ? undefined : { sequence: Number(sequence), hash };
}
