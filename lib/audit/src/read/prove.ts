import {
  type ConsistencyProof,
  formatTlogProof,
  Growth,
  proveInclusion,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import { lineHashes, readRecord } from '../chain/chain.js';
import { type LoggedTree, TreeReader } from '../tree/tree-reader.js';
import { LineReader, sequenceOf } from '../chain/line-reader.js';
import type { Journal } from '../journal/journal.js';
import { followLines } from './follow.js';
import { closeAll, openSnapshot } from './snapshot.js';

/** Nobody waits longer for lines that the agent has written itself. */
const patienceMs = 30_000;

/**
 * Returns a proof that the log of a checkpoint has a record, in the form of C2SP tlog-proof, with the cosignatures of these
 * witnesses. It proves no more than the checkpoint does: the verifier decides which keys to trust. Throws a CannotProve, a NoteSignatureError, or an Error when there
 * is no log.
 */
export async function prove(
  file: string,
  sequence: number,
  checkpoint: UnverifiedCheckpoint,
  witnesses: readonly WitnessVerifier[] = [],
): Promise<string> {
  const { origin, head } = checkpoint;
  const tree = (await readTrees(file)).find(({ key }) => key?.name === origin);
  if (tree?.key === undefined)
    throw new CannotProve(`no boot record of this log names the key of the checkpoint, ${origin}`);
  const index = sequence - tree.first;
  if (index < 0 || index >= head.size)
    throw new CannotProve(
      `the checkpoint covers records ${tree.first} to ${tree.first + head.size - 1}: not record ${sequence}`,
    );
  if (head.size > tree.size)
    throw new CannotProve(`the checkpoint covers ${head.size} records, and the log has ${tree.size} of them`);
  const verified = verifyCheckpoint(checkpoint, { logs: [tree.key], witnesses });
  if (index < tree.removed)
    throw new CannotProve(
      `record ${sequence} was removed by rotation: a collector of the log (a realm, audit watch) can prove it`,
    );
  if (tree.head(head.size).root !== head.root)
    throw new CannotProve(
      'the log does not have the records of the checkpoint: see audit verify --checkpoint',
    );
  const inclusion = proveInclusion(index, head.size, tree.source);
  return formatTlogProof({ index, inclusion, checkpoint: verified });
}

async function readTrees(file: string): Promise<readonly LoggedTree[]> {
  const segments = await openSnapshot(file);
  const trees = new TreeReader();
  try {
    for (const { kept, handle } of segments) {
      if (kept) continue;
      const reader = new LineReader(handle);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
        for (const line of lines) {
          const read = readRecord(line);
          trees.line(line, read.ok ? read.record : undefined);
        }
      }
    }
  } finally {
    await closeAll(segments);
  }
  return trees.trees();
}

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

/** A record or a tree cannot be proved; the message says why. */
export class CannotProve extends Error {
  override readonly name: string = 'CannotProve';
}
