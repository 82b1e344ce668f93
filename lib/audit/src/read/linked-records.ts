import type { Read } from '../chain/chain.js';
import { LinkCheck } from './link-check.js';

/**
 * Parses lines as they arrive from another machine, and checks that each record follows the one before. A line that is
 * not a record, or that does not follow, is yielded as a problem; a record after missing ones is yielded too. With
 * `from`, the sequence number that was requested, records before the first that arrives are missing too.
 */
export async function* linkedRecords(
  groups: AsyncIterable<readonly Uint8Array[]>,
  from?: number,
): AsyncGenerator<Read, void> {
  const check = new LinkCheck(from === undefined ? {} : { from });
  for await (const lines of groups) {
    for (const line of lines) {
      const { record, fault } = check.next(line);
      if (fault !== undefined) yield { ok: false, what: fault.what };
      if (record !== undefined) yield { ok: true, record, line: Buffer.from(line) };
    }
  }
}
