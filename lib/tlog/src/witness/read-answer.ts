import { type Checkpoint, formatCheckpoint, openCheckpoint } from '../checkpoint/checkpoint.js';
import { parseDecimal } from '../encoding/decimal.js';
import { decodeText } from '../encoding/decode-text.js';
import { TextFormError } from '../encoding/text-form-error.js';
import { NoteSignatureError } from '../note/note-signature-error.js';
import type { WitnessVerifier } from '../note/verifiers.js';

const maxAnswerBytes = 64 * 1024;

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
