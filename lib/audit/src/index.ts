export type {
  AuditedCall,
  AuditLog,
  CallResult,
  SignedHead,
  Subject,
  TreeFollower,
  TreeStep,
} from './audit-log.js';
export { AuditUnavailable } from './audit-log.js';
export { type Clock, systemClock } from './clock.js';
export type { PresentContainer } from './retention/present.js';
export { isDenied } from './record/is-denied.js';
export type * from './record/record.js';
export type { Problem, VerifyReport } from './read/verify-report.js';
export { type FileLayer, type SegmentFile, systemFiles } from './file-layer.js';
export { type AuditLogOptions, openAuditLog } from './open-audit-log.js';
export type { Read } from './chain/chain.js';
export { follow, readLog } from './read/follow.js';
export { linkedRecords } from './read/link-check.js';
export { writtenLine } from './read/link-check.js';
export { LinkCheck, type LinkFault } from './read/link-check.js';
export { type LastLine, lastLine } from './chain/line-reader.js';
export { LineReader, sequenceOf } from './chain/line-reader.js';
export { maxLineBytes, positionOf, readRecord } from './chain/chain.js';
export { leafOf, lineHashes } from './chain/chain.js';
export { makeDirectory } from './file-layer.js';
export { followLines } from './read/follow.js';
export { formatHead, head, parseHead } from './read/head.js';
export { narrowTextColumn, renderHeader, renderRecord, type ShowOptions } from './read/show.js';
export { type VerifyOptions, verify } from './read/verify.js';
export { CannotProve } from './read/prove.js';
export { prove } from './read/prove.js';
export { checkpointPath, cosignedPath } from './checkpoints.js';
export type { CheckedCheckpoint, TrustedCheckpoint } from './tree/checkpoint-check.js';
export { evaluateTrust, type Trust, type TrustedKeys } from './tree/checkpoint-check.js';
