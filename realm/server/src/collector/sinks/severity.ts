import type { AuditRecord } from '@kata-agent/audit';
import { membersOf } from './record-fields.js';

/** How much a record matters: RFC 5424's severities, and their names in OpenTelemetry. */
export interface Severity {
  readonly syslog: number;
  readonly otel: 'ERROR' | 'WARN' | 'INFO2' | 'INFO' | 'DEBUG';
}

const severities = {
  /** Records or bytes of the log are lost. */
  error: { syslog: 3, otel: 'ERROR' },
  /** A call was denied. */
  warning: { syslog: 4, otel: 'WARN' },
  /** A start; a call that has failed, or that a rule would have denied. */
  notice: { syslog: 5, otel: 'INFO2' },
  info: { syslog: 6, otel: 'INFO' },
  debug: { syslog: 7, otel: 'DEBUG' },
} as const satisfies Readonly<Record<string, Severity>>;

export function severityOf(record: AuditRecord): Severity {
  const { decision, result, code = result?.code } = membersOf(record);
  if (record.kind === 'lost' || record.kind === 'repaired') return severities.error;
  if (decision?.outcome === 'deny') return severities.warning;
  if (record.kind === 'boot' || decision?.rule !== undefined) return severities.notice;
  if (code !== undefined && code !== 'OK') return severities.notice;
  return record.kind === 'heartbeat' ? severities.debug : severities.info;
}
