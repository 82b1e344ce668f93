export {
  agentLogOrigin,
  agentLogSigner,
  agentLogVerifier,
  parseAgentLogCheckpoint,
  parseAgentLogVerifier,
} from './checkpoint/agent-log.js';
export {
  type Checkpoint,
  type CheckpointKeys,
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint/checkpoint.js';
export type { CheckpointText } from './checkpoint/checkpoint-text.js';
export { TextFormError } from './encoding/text-form-error.js';
export { checkConsistency, type ConsistencyProof, proveConsistency } from './merkle/consistency.js';
export { Frontier } from './merkle/frontier.js';
export { Growth } from './merkle/growth.js';
export { emptyRoot, leafHash, nodeHash } from './merkle/hashing.js';
export { checkInclusion, type InclusionProof, proveInclusion } from './merkle/inclusion.js';
export { ProofError } from './merkle/proof-error.js';
export type { LeafRange } from './merkle/ranges.js';
export {
  completeSubtrees,
  type HashSink,
  type HashSource,
  hashOfRange,
  MissingHashError,
  type Subtree,
} from './merkle/stored-hashes.js';
export type { TreeHead } from './merkle/tree-head.js';
export {
  parseTreeHash,
  type TreeHash,
  treeHashOfBase64,
  treeHashOfBytes,
  treeHashToBase64,
} from './merkle/tree-hash.js';
export { rawPublicKey } from './note/ed25519.js';
export { formatNote, type Note, parseNote } from './note/note.js';
export { NoteSignatureError } from './note/note-signature-error.js';
export { parseVerifier } from './note/parse-verifier.js';
export { LogSigner, WitnessSigner } from './note/signers.js';
export { LogVerifier, WitnessVerifier } from './note/verifiers.js';
export {
  type LogSignature,
  type NoteSignatures,
  verifyNote,
  type WitnessSignature,
} from './note/verify-note.js';
export { formatWitnessKey, parseWitnessKey } from './note/witness-key.js';
export { formatTlogProof, parseTlogProof, type TlogProof } from './proof/tlog-proof.js';
export { verifyProof } from './proof/verify-proof.js';
export {
  type AddCheckpointRequest,
  formatAddCheckpoint,
  maxAddCheckpointBytes,
  parseAddCheckpoint,
} from './witness/add-checkpoint-request.js';
export {
  type AddCheckpointDecision,
  type Conflict,
  type Cosigned,
  type Cosigner,
  decideAddCheckpoint,
  type Refused,
  type WitnessedLog,
} from './witness/decide-add-checkpoint.js';
export { addCheckpointAnswer, type HttpAnswer } from './witness/http-answer.js';
export { addCosignatures, parseConflict } from './witness/read-answer.js';
