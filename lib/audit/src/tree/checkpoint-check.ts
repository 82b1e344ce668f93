import { NoteSignatureError, type UnverifiedCheckpoint, verifyCheckpoint } from '@kata-agent/tlog';
import { type NamedBy, unprovenProblem } from '../chain/unproven.js';
import type { LoggedTree } from './logged-tree.js';
import { evaluateTrust, type Trust, type TrustedKeys } from './trust.js';

/** A checkpoint from outside, and the keys that its signatures are verified with. */
export interface TrustedCheckpoint extends TrustedKeys {
  readonly checkpoint: UnverifiedCheckpoint;
}

/** A checkpoint, compared with a log. */
export interface CheckedCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** Sequence number of the last record that it covers; undefined if the log does not have its tree. */
  readonly last: number | undefined;
  /** How many of its records rotation has removed, as the log says: their hashes fit, but nobody can read them. */
  readonly removed: number;
  /**
   * Whether it covers the kept records, by the record that has their hash: a rotation after it could name any. Undefined if none
   * are kept.
   */
  readonly coversKept: boolean | undefined;
  /** Names of witnesses, with their times in seconds since 1970. */
  readonly witnesses: readonly { readonly name: string; readonly time: number }[];
  /** Undefined if the signatures are not valid. */
  readonly trust: Trust | undefined;
  /** What is wrong; undefined: the log has exactly these records, and the trust is enough. */
  readonly problem: string | undefined;
}

/** Compares a checkpoint with the trees of a log. What only a record explains that it does not cover is a problem (S45). */
export function checkCheckpoint(
  { checkpoint, ...keys }: TrustedCheckpoint,
  trees: readonly LoggedTree[],
  named: NamedBy = {},
): CheckedCheckpoint {
  const { key, witnesses } = keys;
  const { origin, head } = checkpoint;
  const about = { origin, size: head.size };
  const failed = (problem: string): CheckedCheckpoint => ({
    ...about,
    last: undefined,
    removed: 0,
    coversKept: undefined,
    witnesses: [],
    trust: undefined,
    problem,
  });
  const tree = trees.find((each) => each.key?.name === origin);
  const known = key ?? tree?.key;
  if (tree === undefined || known === undefined)
    return failed(`no boot record of this log names the key of the checkpoint, ${origin}`);
  try {
    const verified = verifyCheckpoint(checkpoint, { logs: [known], witnesses });
    const cosigned = verified.witnesses.map(({ by, time }) => ({ name: by.name, time }));
    const evaluated = evaluateTrust(cosigned.length, keys, head);
    const last = tree.first + head.size - 1;
    const sound = treeProblem(tree, head) ?? evaluated.problem;
    const removed = Math.min(tree.removed, head.size);
    const { keptNamedBy } = named;
    const coversKept = keptNamedBy === undefined ? undefined : sound === undefined && keptNamedBy <= last;
    const problem = sound ?? unprovenProblem(last, named, 'checkpoint');
    const { trust } = evaluated;
    return { ...about, last, removed, coversKept, witnesses: cosigned, trust, problem };
  } catch (error) {
    if (error instanceof NoteSignatureError) return failed(error.message);
    throw error;
  }
}

function treeProblem(tree: LoggedTree, head: UnverifiedCheckpoint['head']): string | undefined {
  const records = `${head.size} records from record ${tree.first} on`;
  if (head.size > tree.size)
    return `truncated: the checkpoint has ${records}, and the log has ${tree.size} of them`;
  // A log could say so of any record: a checkpoint of which no record is left is compared with nothing.
  if (head.size <= tree.removed)
    return `the checkpoint has ${records}, and cannot be compared: rotation has removed ${tree.removed}`;
  return tree.head(head.size).root === head.root
    ? undefined
    : `not the records of the checkpoint: at least one of the ${records} was changed, removed, added or moved`;
}
