import type { AuditRecord } from './record.js';

/** Reports whether a record is about calls that the gate, a rule or a check denied. Records that are not calls are not. */
export function isDenied(record: AuditRecord): boolean {
  switch (record.kind) {
    case 'refusal':
      return true;
    case 'fold':
      return record.of === 'refusal' || record.code === 'PERMISSION_DENIED';
    case 'call':
    case 'outcome':
      return record.result.code === 'PERMISSION_DENIED';
    case 'boot':
    case 'intent':
    case 'rotated':
    case 'repaired':
    case 'lost':
    case 'heartbeat':
      return false;
  }
}
