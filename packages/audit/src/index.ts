export type { AuditedCall, AuditLog, CallResult, Subject } from './audit-log.js';
export { AuditUnavailable } from './audit-unavailable.js';
export { type Clock, systemClock } from './clock.js';
export type * from './record.js';
export type { Problem, VerifyReport } from './verify-report.js';
export { type FileLayer, type SegmentFile, systemFiles } from './file-layer.js';
export { type AuditLogOptions, openAuditLog } from './open-audit-log.js';
