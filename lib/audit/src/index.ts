export type {
  AuditedCall,
  AuditLog,
  CallResult,
  SignedHead,
  Subject,
  TreeFollower,
  TreeStep,
} from './audit-log.js';
export { AuditUnavailable } from './audit-unavailable.js';
export { type Clock, systemClock } from './clock.js';
export type { PresentContainer } from './retention/present.js';
export type * from './record/record.js';
export type { Problem, VerifyReport } from './read/verify-report.js';
export { type FileLayer, type SegmentFile, systemFiles } from './files/file-layer.js';
export { type AuditLogOptions, openAuditLog } from './open-audit-log.js';
export type { Read } from './chain/chain.js';
export { follow, readLog } from './read/follow.js';
export { linkedRecords } from './read/linked-records.js';
export { writtenLine } from './read/written-line.js';
export { LinkCheck, type LinkFault } from './read/link-check.js';
export { type LastLine, lastLine } from './chain/last-line.js';
export { LineReader } from './chain/line-reader.js';
export { maxLineBytes, positionOf, readRecord } from './chain/chain.js';
export { leafOf, lineHashes } from './chain/written-record.js';
export { makeDirectory } from './files/make-directory.js';
export { sequenceOf } from './read/sequence-of.js';
export { followLines } from './read/follow-lines.js';
export { formatHead, head, parseHead } from './read/head.js';
export { renderHeader, renderRecord, type ShowOptions } from './read/show.js';
export { type VerifyOptions, verify } from './read/verify.js';
export { CannotProve } from './read/cannot-prove.js';
export { prove } from './read/prove.js';
export { checkpointPath, cosignedPath } from './checkpoint/checkpoint-writer.js';
export type { CheckedCheckpoint, TrustedCheckpoint } from './tree/checkpoint-check.js';
export { evaluateTrust, type Trust, type TrustedKeys } from './tree/trust.js';
