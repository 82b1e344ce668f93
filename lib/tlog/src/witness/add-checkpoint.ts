import {
  type Checkpoint,
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  type UnverifiedCheckpoint,
} from '../checkpoint/checkpoint.js';
import { decodeText, parseDecimal, quote, TextFormError } from '../text-form.js';
import { formatHashLines, parseHashLines, splitAtCheckpoint } from '../merkle/tree-hash.js';
import type { ConsistencyProof } from '../merkle/proofs.js';
import { NoteSignatureError } from '../note/note.js';
import type { WitnessVerifier } from '../note/verifiers.js';

const maxAnswerBytes = 64 * 1024;

/** The largest body of a request. A server can refuse longer ones before they have arrived. */
export const maxAddCheckpointBytes: number = 264 * 1024;

/** A request to a witness. */
export interface AddCheckpointRequest {
  /** The size of the last checkpoint that the witness has cosigned, as the client believes; 0 for none. */
  readonly oldSize: number;
  readonly proof: ConsistencyProof;
  readonly checkpoint: UnverifiedCheckpoint;
}

/**
 * Returns the body of a request (C2SP tlog-witness of 2026-07-22, "add-checkpoint"). `checkpoint` is one as
 * signCheckpoint returns it.
 */
export function formatAddCheckpoint(oldSize: number, proof: ConsistencyProof, checkpoint: string): string {
  return `old ${oldSize}\n${formatHashLines(proof)}\n${checkpoint}`;
}

/** Parses the body of a request. Verifies nothing. Throws a TextFormError, for which the answer is 400. */
export function parseAddCheckpoint(body: Uint8Array | string): AddCheckpointRequest {
  const text = decodeText(body, 'request', maxAddCheckpointBytes);
  const { lines, checkpoint } = splitAtCheckpoint(text, 'request');
  const [first = '', ...hashes] = lines;
  const oldSize = first.startsWith('old ') ? parseDecimal(first.slice('old '.length)) : undefined;
  if (oldSize === undefined)
    throw new TextFormError(`request, line 1: ${quote(first)} is not "old" and a size below 2^53`);
  return { oldSize, proof: parseHashLines(hashes, 'request'), checkpoint: parseCheckpoint(checkpoint) };
}

/**
 * Returns a checkpoint with the cosignatures in the body of a witness's answer with status 200, besides those that it
 * has. The client appends them to the checkpoint and verifies the note (C2SP tlog-witness of 2026-07-22,
 * "add-checkpoint"); those of unknown keys are dropped. Throws a TextFormError or a NoteSignatureError, also if none of
 * the witnesses has signed.
 */
export function addCosignatures(
  checkpoint: Checkpoint,
  body: Uint8Array | string,
  witnesses: readonly WitnessVerifier[],
): Checkpoint {
  const text = decodeText(body, 'answer of the witness', maxAnswerBytes);
  const signedByLog = formatCheckpoint({ ...checkpoint, witnesses: [] });
  const { witnesses: added } = openCheckpoint(signedByLog + text, { logs: [checkpoint.log.by], witnesses });
  if (added.length === 0)
    throw new NoteSignatureError(
      'missing',
      'answer of the witness: no known witness has signed the checkpoint',
    );
  const isAdded = new Set(added.map(({ by }) => by.toString()));
  const kept = checkpoint.witnesses.filter(({ by }) => !isAdded.has(by.toString()));
  return { ...checkpoint, witnesses: [...kept, ...added] };
}

/** Parses the body of an answer with status 409: the size of the tree that the witness has cosigned last. */
export function parseConflict(body: Uint8Array | string): number {
  const text = decodeText(body, 'answer of the witness', 64);
  const size = text.endsWith('\n') ? parseDecimal(text.slice(0, -1)) : undefined;
  if (size === undefined) throw new TextFormError('answer of the witness: it is not a size below 2^53');
  return size;
}
