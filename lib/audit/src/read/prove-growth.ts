import { type ConsistencyProof, Growth } from '@kata-agent/tlog';
import { lineHashes } from '../chain/written-record.js';
import type { Journal } from '../journal/journal.js';
import { CannotProve } from './cannot-prove.js';
import { followLines } from './follow-lines.js';
import { sequenceOf } from './sequence-of.js';

/** Nobody waits longer for lines that the agent has written itself. */
const patienceMs = 30_000;

/**
 * Returns the proof that the tree of the first `to` records of this start begins with that of the first `from`. Reads the lines
 * that are needed, each once, and does not parse them: a line that was changed gives a proof that fails. Throws a CannotProve.
 */
export async function proveGrowth(
  file: string,
  journal: Pick<Journal, 'readFrom'>,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<ConsistencyProof> {
  if (from > to) throw new RangeError(`a tree of ${to} records does not begin with one of ${from}`);
  if (from === 0 || from === to) return [];
  const place = journal.readFrom(from);
  if (place === undefined)
    throw new CannotProve(`rotation has removed records that a proof from the first ${from} needs`);
  const { frontier } = place;
  const signal = AbortSignal.timeout(patienceMs);
  let { sequence } = place;
  let growth = frontier.size === from ? new Growth(frontier) : undefined;
  for await (const lines of followLines(file, { from: sequence, signal }))
    for (const line of lines) {
      if (sequenceOf(line) !== sequence)
        throw new CannotProve(
          `record ${sequence} is not in the log: it was removed while it was read, or changed`,
        );
      frontier.append(lineHashes(line).leaf, growth?.store);
      sequence += 1;
      if (frontier.size === from) growth = new Growth(frontier);
      if (frontier.size === to && growth !== undefined) return growth.prove();
    }
  throw new CannotProve(`the log does not have its first ${to} records within ${patienceMs / 1_000} s`);
}
