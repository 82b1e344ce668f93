import type { AuditRecord } from '@kata-agent/audit';
import { membersOf } from './record-fields.js';

/** How much a record matters: RFC 5424's severities, and their numbers and names in OpenTelemetry. */
export interface Severity {
  readonly syslog: number;
  readonly otel: number;
  readonly text: string;
}

const severities = {
  /** Records or bytes of the log are lost. */
  error: { syslog: 3, otel: 17, text: 'ERROR' },
  /** A call was denied. */
  warning: { syslog: 4, otel: 13, text: 'WARN' },
  /** A start; a call that has failed, or that a rule would have denied. */
  notice: { syslog: 5, otel: 10, text: 'INFO2' },
  info: { syslog: 6, otel: 9, text: 'INFO' },
  debug: { syslog: 7, otel: 5, text: 'DEBUG' },
} as const satisfies Readonly<Record<string, Severity>>;

export function severityOf(record: AuditRecord): Severity {
  const { decision, result, code = result?.code } = membersOf(record);
  if (record.kind === 'lost' || record.kind === 'repaired') return severities.error;
  if (decision?.outcome === 'deny') return severities.warning;
  if (record.kind === 'boot' || decision?.rule !== undefined) return severities.notice;
  if (code !== undefined && code !== 'OK') return severities.notice;
  return record.kind === 'heartbeat' ? severities.debug : severities.info;
}
