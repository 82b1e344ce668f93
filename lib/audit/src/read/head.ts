import { genesis, positionOf, readRecord } from '../chain/chain.js';
import { lastLine } from '../chain/line-reader.js';
import type { Position } from '../record/record.js';
import { closeAll, openSnapshot } from './snapshot.js';

/**
 * Returns the position of a log's last record, to be stored where the log's writer cannot change it and passed to
 * `verify` later. Only the last record is read. The head of an empty log is record 0.
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

/** Formats a head as `SEQUENCE:HASH`. */
export function formatHead(position: Position): string {
  return `${position.sequence}:${position.hash}`;
}

/** Parses the output of `formatHead`; returns undefined for anything else. */
export function parseHead(text: string): Position | undefined {
  const match = /^(0|[1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text);
  const [, sequence, hash] = match ?? [];
  return sequence === undefined || hash === undefined ? undefined : { sequence: Number(sequence), hash };
}
