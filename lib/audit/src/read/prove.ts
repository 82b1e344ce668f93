import {
  formatTlogProof,
  proveInclusion,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import { readRecord } from '../chain/chain.js';
import { TreeReader } from '../tree/tree-reader.js';
import type { LoggedTree } from '../tree/logged-tree.js';
import { CannotProve } from './cannot-prove.js';
import { LineReader } from '../chain/line-reader.js';
import { closeAll, openSnapshot } from './snapshot.js';

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
