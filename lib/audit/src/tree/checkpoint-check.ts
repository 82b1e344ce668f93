import {
  type LogVerifier,
  NoteSignatureError,
  type TreeHead,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import type { RemovedSummary } from '../record/record.js';
import type { LoggedTree } from './tree-reader.js';

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

/** What records of a log say of the log itself. */
interface NamedBy {
  /** The sequence number of the record that has the hash of the kept records; undefined if none are kept. */
  readonly keptNamedBy?: number | undefined;
  /** The record that says that rotation has removed the beginning of the log; undefined if it is there. */
  readonly removalNamedBy?: { readonly sequence: number; readonly removed: RemovedSummary } | undefined;
}

/**
 * Returns what only a record after `last` explains, the last one that something from outside the log proves; undefined if nothing
 * does (S45). Anyone with the files can add records that say what they want, such as that rotation removed the others.
 */
export function unprovenProblem(
  last: number,
  { keptNamedBy, removalNamedBy }: NamedBy,
  proof: 'checkpoint' | 'stored head',
): string | undefined {
  const newer = `verify with a ${proof} that covers it`;
  if (removalNamedBy !== undefined && removalNamedBy.sequence > last)
    return `records 1 to ${removalNamedBy.removed.last.sequence} are gone, and only record ${removalNamedBy.sequence} says that rotation removed them, which the ${proof} does not cover: ${newer}`;
  if (keptNamedBy !== undefined && keptNamedBy > last)
    return `the kept records are unproven: only record ${keptNamedBy} names them, which the ${proof} does not cover: ${newer}`;
  return undefined;
}

/** The keys that the caller knows from elsewhere than the log. */
export interface TrustedKeys {
  /** The log's key. */
  readonly key: LogVerifier | undefined;
  readonly witnesses: readonly WitnessVerifier[];
  /** How many of the witnesses must have cosigned, at least 1. */
  readonly quorum: number;
  /** The tree that verified evidence binds to `key`. Absent: there is no evidence. */
  readonly bound?: TreeHead | undefined;
}

/**
 * What a checkpoint is worth (docs/trust.md, "The audit log"). The signature of the log alone proves nothing: anyone who writes the
 * log has its key.
 */
export type Trust =
  /** The key and the tree. */
  | { readonly kind: 'evidence' }
  | { readonly kind: 'witnesses'; readonly count: number }
  | { readonly kind: 'pinned' }
  | { readonly kind: 'self-signed' };

/** Evaluates a checkpoint with valid signatures. `problem` is undefined if the trust is what the caller demands. */
export function evaluateTrust(
  cosigned: number,
  { key, witnesses, quorum, bound }: TrustedKeys,
  head: TreeHead,
): { readonly trust: Trust; readonly problem: string | undefined } {
  const isCosigned = witnesses.length > 0 && cosigned >= quorum;
  const few =
    witnesses.length > 0 && !isCosigned ? `cosigned by ${cosigned} of ${quorum} witnesses` : undefined;
  if (key !== undefined && bound !== undefined) {
    if (bound.size === head.size && bound.root === head.root)
      return { trust: { kind: 'evidence' }, problem: few };
    const other = `the evidence binds another tree of this key, of ${bound.size} records: leave --checkpoint out to verify by that`;
    return { trust: { kind: 'pinned' }, problem: few ?? other };
  }
  if (isCosigned) return { trust: { kind: 'witnesses', count: cosigned }, problem: undefined };
  if (key !== undefined) return { trust: { kind: 'pinned' }, problem: few };
  const self = 'self-signed only: the writer of the log could have made it';
  return { trust: { kind: 'self-signed' }, problem: few ?? self };
}
