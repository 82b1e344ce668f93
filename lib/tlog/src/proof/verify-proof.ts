import { type Checkpoint, type CheckpointKeys, verifyCheckpoint } from '../checkpoint/checkpoint.js';
import { leafHash } from '../merkle/hashing.js';
import { checkInclusion } from '../merkle/inclusion.js';
import type { TlogProof } from './tlog-proof.js';

/**
 * Verifies that a log has this leaf, and returns the checkpoint that says so (C2SP tlog-proof of 2026-05-22, "Verifying a
 * tlog proof"). Whether its witnesses are enough, and their times, is for the caller to decide. Throws a
 * NoteSignatureError or a ProofError.
 */
export function verifyProof(proof: TlogProof, leaf: Uint8Array | string, keys: CheckpointKeys): Checkpoint {
  const checkpoint = verifyCheckpoint(proof.checkpoint, keys);
  checkInclusion(proof.index, leafHash(leaf), checkpoint.head, proof.inclusion);
  return checkpoint;
}
