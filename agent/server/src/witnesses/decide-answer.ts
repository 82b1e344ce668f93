import {
  addCosignatures,
  type Checkpoint,
  type ConsistencyProof,
  NoteSignatureError,
  parseConflict,
  TextFormError,
  type WitnessVerifier,
} from '@kata-agent/tlog';

/** A checkpoint that a witness is asked to cosign. */
export interface Attempt {
  /** Signed by the log alone. */
  readonly checkpoint: Checkpoint;
  /** The size that the witness has cosigned last, as far as is known, and the proof from there. */
  readonly from: number;
  readonly proof: ConsistencyProof;
  /** `from` was told by the witness in this round. */
  readonly isRepeated: boolean;
}

/** The status of an answer of HTTP, and the body of one of 200 or 409. */
export interface WitnessAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/**
 * Why a witness has not cosigned.
 * - `failed`: it was not reached, does not know the log, or answers what is not an answer.
 * - `fork`: it says that it has cosigned a tree that this one does not continue. Another agent has the key of this log, as after
 *   the virtual machine was cloned; or the witness lies.
 * - `lost`: it says that it has cosigned a tree of a size from which nothing can be proved any more.
 */
export type WitnessFailure = 'failed' | 'fork' | 'lost';

export type WitnessDecision =
  | { readonly kind: 'cosigned'; readonly checkpoint: Checkpoint }
  /** To be asked again. */
  | { readonly kind: 'again'; readonly attempt: Attempt }
  /** To be asked again with a proof from this size. */
  | { readonly kind: 'prove'; readonly from: number }
  | { readonly kind: 'not cosigned'; readonly failure: WitnessFailure; readonly why: string };

/** Decides what an answer means. The reasons have no text of the witness. */
export function decideAnswer(
  attempt: Attempt,
  { status, body }: WitnessAnswer,
  witness: WitnessVerifier,
): WitnessDecision {
  try {
    if (status === 200)
      return { kind: 'cosigned', checkpoint: addCosignatures(attempt.checkpoint, body, [witness]) };
    if (status === 409) return decideConflict(attempt, parseConflict(body));
  } catch (error) {
    if (error instanceof NoteSignatureError)
      return not('failed', 'its answer has no valid cosignature of its key for this checkpoint');
    if (!(error instanceof TextFormError)) throw error;
    return not('failed', `its answer with status ${status} has not the form of C2SP tlog-witness`);
  }
  if (status === 422)
    return not(
      'fork',
      'it reports that it has cosigned another tree of this log, which this one does not continue',
    );
  return not('failed', reasons.get(status) ?? `it answers with status ${status}`);
}

const reasons: ReadonlyMap<number, string> = new Map([
  [403, 'it does not accept the signature of the log (403)'],
  [404, 'it does not know this log (404): its origin must be enrolled there'],
]);

function decideConflict(attempt: Attempt, size: number): WitnessDecision {
  const { checkpoint, from, isRepeated } = attempt;
  if (size > checkpoint.head.size)
    return not('fork', `it says that it has cosigned more records of this log than there are`);
  if (isRepeated || size === from)
    return not('failed', 'it does not accept the size that it reported as cosigned last');
  // The answer to an earlier attempt was lost, or the witness has lost its state.
  if (size === checkpoint.head.size || size === 0)
    return { kind: 'again', attempt: { checkpoint, from: size, proof: [], isRepeated: true } };
  return { kind: 'prove', from: size };
}

function not(failure: WitnessFailure, why: string): WitnessDecision {
  return { kind: 'not cosigned', failure, why };
}
