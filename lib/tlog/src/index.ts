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
export type { CheckpointText } from './checkpoint/checkpoint.js';
export { TextFormError } from './text-form.js';
export { checkConsistency, type ConsistencyProof, proveConsistency } from './merkle/proofs.js';
export { Frontier } from './merkle/frontier.js';
export { Growth } from './merkle/frontier.js';
export { emptyRoot, leafHash, nodeHash } from './merkle/tree-hash.js';
export { checkInclusion, type InclusionProof, proveInclusion } from './merkle/proofs.js';
export { ProofError } from './merkle/proofs.js';
export type { LeafRange } from './merkle/stored-hashes.js';
export {
  completeSubtrees,
  type HashSink,
  type HashSource,
  hashOfRange,
  MissingHashError,
  type Subtree,
} from './merkle/stored-hashes.js';
export type { TreeHead } from './merkle/tree-hash.js';
export {
  parseTreeHash,
  type TreeHash,
  treeHashOfBase64,
  treeHashOfBytes,
  treeHashToBase64,
} from './merkle/tree-hash.js';
export { rawPublicKey } from './note/verifiers.js';
export { formatNote, type Note, parseNote } from './note/note.js';
export { NoteSignatureError } from './note/note.js';
export { parseVerifier } from './note/verifiers.js';
export { LogSigner, WitnessSigner } from './note/signers.js';
export { LogVerifier, WitnessVerifier } from './note/verifiers.js';
export {
  type LogSignature,
  type NoteSignatures,
  verifyNote,
  type WitnessSignature,
} from './note/note.js';
export { formatWitnessKey, parseWitnessKey } from './note/signers.js';
export { formatTlogProof, parseTlogProof, type TlogProof } from './tlog-proof.js';
export { verifyProof } from './tlog-proof.js';
export {
  type AddCheckpointRequest,
  formatAddCheckpoint,
  maxAddCheckpointBytes,
  parseAddCheckpoint,
} from './witness/add-checkpoint.js';
export {
  type AddCheckpointDecision,
  type Conflict,
  type Cosigned,
  type Cosigner,
  decideAddCheckpoint,
  type Refused,
  type WitnessedLog,
} from './witness/decide-add-checkpoint.js';
export { addCheckpointAnswer, type HttpAnswer } from './witness/decide-add-checkpoint.js';
export { addCosignatures, parseConflict } from './witness/add-checkpoint.js';
