import { type Checkpoint, formatCheckpoint, verifyCheckpoint } from '../checkpoint/checkpoint.js';
import { quote } from '../text-form.js';
import { checkConsistency, ProofError } from '../merkle/proofs.js';
import { emptyRoot, type TreeHead } from '../merkle/tree-hash.js';
import { NoteSignatureError } from '../note/note.js';
import type { WitnessSigner } from '../note/signers.js';
import type { LogVerifier } from '../note/verifiers.js';
import type { AddCheckpointRequest } from './add-checkpoint.js';

/** What a witness knows of the origin of a request. */
export interface WitnessedLog {
  /** The keys that the witness trusts for this origin. Their names are the origin. */
  readonly keys: readonly LogVerifier[];
  /** The tree that the witness has cosigned last. Undefined if it never has. */
  readonly latest: TreeHead | undefined;
}

/** The witness, and its clock. */
export interface Cosigner {
  readonly signer: WitnessSigner;
  /** Whole seconds since 1970. */
  readonly now: number;
}

/** The checkpoint is consistent with `latest`, and becomes the new one. */
export interface Cosigned {
  readonly status: 200;
  /** To be stored, if `latest` is still the stored one, in one step and before the answer is sent. */
  readonly latest: TreeHead;
  /** The checkpoint with the log's signature and the cosignature, as monitors get it. */
  readonly checkpoint: string;
  /** The signature line of the witness. */
  readonly cosignature: string;
}

/** The client's old size is not the size of the tree that was cosigned last, which is `size`. */
export interface Conflict {
  readonly status: 409;
  readonly size: number;
}

/** 400: not a valid request. 403: not signed by the log. 404: not a known log. 422: not consistent. */
export interface Refused {
  readonly status: 400 | 403 | 404 | 422;
  readonly reason: string;
}

/** What the witness answers. `status` is the status of HTTP. */
export type AddCheckpointDecision = Cosigned | Conflict | Refused;

/**
 * Decides about a request by what the witness knows of its origin, undefined for an unknown one (C2SP tlog-witness of
 * 2026-07-22, "add-checkpoint", in the order of that document). Two decisions about one origin must not be made at the
 * same time, or `latest` must be compared when it is stored: otherwise the witness goes back.
 *
 * A root that differs at equal sizes is 422; until version 1.0.0 of the document it was 409.
 */
export function decideAddCheckpoint(
  request: AddCheckpointRequest,
  log: WitnessedLog | undefined,
  { signer, now }: Cosigner,
): AddCheckpointDecision {
  const { oldSize, proof } = request;
  if (log === undefined)
    return { status: 404, reason: `the log ${quote(request.checkpoint.origin)} is not known here` };
  const verified = signedByLog(request, log);
  if ('reason' in verified) return verified;
  const { head } = verified;
  if (oldSize > head.size)
    return {
      status: 400,
      reason: `the old size ${oldSize} is larger than the checkpoint's size ${head.size}`,
    };
  const latest = log.latest ?? { size: 0, root: emptyRoot };
  if (oldSize !== latest.size) return { status: 409, size: latest.size };
  try {
    checkConsistency(latest, head, proof);
  } catch (error) {
    if (error instanceof ProofError) return { status: 422, reason: error.message };
    throw error;
  }
  const cosignature = signer.cosign(verified.text, now);
  const cosigned = { by: signer.verifier, time: now, line: cosignature };
  const checkpoint = formatCheckpoint({ ...verified, witnesses: [cosigned] });
  return { status: 200, latest: head, checkpoint, cosignature };
}

function signedByLog({ checkpoint }: AddCheckpointRequest, { keys }: WitnessedLog): Checkpoint | Refused {
  try {
    return verifyCheckpoint(checkpoint, { logs: keys, witnesses: [] });
  } catch (error) {
    if (error instanceof NoteSignatureError) return { status: 403, reason: error.message };
    throw error;
  }
}

/** An answer of HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Returns the answer to an add-checkpoint request (C2SP tlog-witness of 2026-07-22, "add-checkpoint"). */
export function addCheckpointAnswer(decision: AddCheckpointDecision): HttpAnswer {
  const text = 'text/plain; charset=utf-8';
  const { status } = decision;
  if (status === 200) return { status, contentType: text, body: decision.cosignature };
  if (status === 409) return { status, contentType: 'text/x.tlog.size', body: `${decision.size}\n` };
  return { status, contentType: text, body: `${decision.reason}\n` };
}
