import { SeverityNumber } from '@opentelemetry/api-logs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { SentLine } from '../forwarder.js';
import type { LogIdentity } from '../log-identity.js';
import { recordFields } from '../record-fields.js';
import { severityOf } from '../severity.js';

/** What all records of an export have: the identity of these objects groups them. */
export type OtlpCommon = Pick<ReadableLogRecord, 'resource' | 'instrumentationScope'>;

/** Returns what the records of an agent have in common. */
export function otlpCommon(agent: string, version: string): OtlpCommon {
  const attributes = { 'service.name': 'kata-agent', 'service.instance.id': agent };
  const resource: ReadableLogRecord['resource'] = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes),
  };
  return { resource, instrumentationScope: { name: 'kata-realm collect', version } };
}

/** Returns an audit record as a log record of OpenTelemetry: the line is its body, unchanged. */
export function otlpRecord(
  { line, record }: SentLine,
  log: LogIdentity,
  common: OtlpCommon,
  observedMs: number,
): ReadableLogRecord {
  const attributes: Record<string, string | number> = {};
  for (const { otel, of } of recordFields) {
    const value = otel === undefined ? undefined : of({ log, record });
    if (otel !== undefined && value !== undefined) attributes[otel] = value;
  }
  const severityText = severityOf(record).otel;
  return {
    ...common,
    hrTime: hrTime(Date.parse(record.wall)),
    hrTimeObserved: hrTime(observedMs),
    severityNumber: SeverityNumber[severityText],
    severityText,
    eventName: `kata.audit.${record.kind}`,
    body: line.toString('latin1'),
    attributes,
    droppedAttributesCount: 0,
  };
}

/** Seconds and nanoseconds. A time that no clock has is 0: unknown. */
function hrTime(ms: number): [number, number] {
  if (!(ms >= 0)) return [0, 0];
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
