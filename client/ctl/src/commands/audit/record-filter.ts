import type { AuditRecord } from '@kata-agent/audit';

/** Which records to show; all given conditions must match. */
export interface RecordFilter {
  readonly methods: readonly string[];
  /** Only calls denied by the gate, a rule or a check. */
  readonly denied: boolean;
  readonly container: string | undefined;
}

/** Reports whether a record matches. Records that are not calls (a boot, a rotation) match only an empty filter. */
export function isWanted(record: AuditRecord, filter: RecordFilter): boolean {
  const { methods, denied, container } = filter;
  if (methods.length > 0 && !('method' in record && methods.includes(record.method))) return false;
  if (denied && !isDenied(record)) return false;
  return container === undefined || ('subject' in record && record.subject?.containerId === container);
}

function isDenied(record: AuditRecord): boolean {
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
