import { parseDecimal, quote, TextFormError } from '../text-form.js';
import { isTreeSize, treeHashOfBase64, treeHashToBase64, type TreeHead } from '../merkle/tree-hash.js';
import {
  formatNote,
  type LogSignature,
  type Note,
  NoteSignatureError,
  parseNote,
  verifyNote,
  type WitnessSignature,
} from '../note/note.js';
import type { LogSigner } from '../note/signers.js';
import type { LogVerifier, WitnessVerifier } from '../note/verifiers.js';

/** A checkpoint whose log has signed it. */
export interface Checkpoint extends CheckpointText {
  /** What logs and witnesses sign. */
  readonly text: string;
  readonly log: LogSignature;
  /** At most one of each witness. */
  readonly witnesses: readonly WitnessSignature[];
}

/** The keys whose signatures of a checkpoint are verified. */
export interface CheckpointKeys {
  /** A log's key verifies checkpoints of the origin that is its name, and no others. */
  readonly logs: readonly LogVerifier[];
  readonly witnesses: readonly WitnessVerifier[];
}

/** A checkpoint whose signatures are not verified. Nothing in it may be believed. */
export interface UnverifiedCheckpoint extends CheckpointText {
  readonly note: Note;
}

/** Returns the checkpoint of a tree (C2SP tlog-checkpoint v1.0.0). The name of the key is the origin. */
export function signCheckpoint(key: LogSigner, head: TreeHead): string {
  if (!isTreeSize(head.size)) throw new RangeError(`${head.size} is not the size of a tree`);
  const text = formatCheckpointText({ origin: key.verifier.name, head });
  return formatNote(text, [key.sign(text)]);
}

/** Parses a checkpoint. Throws a TextFormError. */
export function parseCheckpoint(input: Uint8Array | string): UnverifiedCheckpoint {
  const note = parseNote(input);
  return { ...parseCheckpointText(note.text), note };
}

/**
 * Verifies the signatures of a checkpoint: a log's, and those of the witnesses that are given. C2SP tlog-checkpoint
 * v1.0.0 says that the name of the log's key should be the origin; here it must be, so that a key speaks for one log.
 * Throws a NoteSignatureError.
 */
export function verifyCheckpoint(
  { note, origin, head }: UnverifiedCheckpoint,
  keys: CheckpointKeys,
): Checkpoint {
  const logs = keys.logs.filter(({ name }) => name === origin);
  const signatures = verifyNote(note, [...logs, ...keys.witnesses]);
  const [log] = signatures.logs;
  if (log === undefined)
    throw new NoteSignatureError(
      'missing',
      `checkpoint: no known key of the log ${quote(origin)} has signed it`,
    );
  return { origin, head, text: note.text, log, witnesses: signatures.witnesses };
}

/** Parses a checkpoint and verifies its signatures. Throws a TextFormError or a NoteSignatureError. */
export function openCheckpoint(input: Uint8Array | string, keys: CheckpointKeys): Checkpoint {
  return verifyCheckpoint(parseCheckpoint(input), keys);
}

/** Returns a checkpoint with the signatures that were verified, and no others. */
export function formatCheckpoint({ text, log, witnesses }: Checkpoint): string {
  return formatNote(text, [log.line, ...witnesses.map(({ line }) => line)]);
}

/** What the text of a checkpoint says. */
export interface CheckpointText {
  /** Names the log. */
  readonly origin: string;
  readonly head: TreeHead;
}

/** Returns three lines: origin, size, root (C2SP tlog-checkpoint v1.0.0, "Note text"). */
function formatCheckpointText({ origin, head }: CheckpointText): string {
  return `${origin}\n${head.size}\n${treeHashToBase64(head.root)}\n`;
}

/**
 * Parses the text of a checkpoint. Extension lines are refused: they are not recommended, nobody audits them, and
 * everything that a checkpoint of ours says is in its three lines (docs/trust.md, "The audit log"). Throws a
 * TextFormError.
 */
function parseCheckpointText(text: string): CheckpointText {
  const [origin = '', size = '', root = '', ...rest] = text.split('\n');
  if (origin === '') throw new TextFormError('checkpoint, line 1: the origin is empty');
  const leaves = parseDecimal(size);
  if (leaves === undefined)
    throw new TextFormError(`checkpoint, line 2: ${quote(size)} is not a size below 2^53`);
  const hash = treeHashOfBase64(root);
  if (hash === undefined)
    throw new TextFormError(`checkpoint, line 3: ${quote(root)} is not the base64 of 32 bytes`);
  if (rest.length !== 1 || rest[0] !== '')
    throw new TextFormError('checkpoint, line 4: extension lines are not accepted');
  return { origin, head: { size: leaves, root: hash } };
}
