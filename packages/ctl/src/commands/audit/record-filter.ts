import type { AuditRecord } from '@kata-agent/audit';

/** What a reader wants to see of a log; all that is given has to fit. */
export interface RecordFilter {
  readonly methods: readonly string[];
  /** Only what was refused: by the configuration, a rule or a check. */
  readonly denied: boolean;
  readonly container: string | undefined;
}

/** Whether a record is wanted. Records of no call (a boot, a rotation) are only wanted without a filter. */
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
      return false;
  }
}
