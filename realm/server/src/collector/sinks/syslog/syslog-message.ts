import type { SentLine } from '../forwarder.js';
import type { LogIdentity } from '../log-identity.js';
import { recordFields } from '../record-fields.js';
import { severityOf } from '../severity.js';

/** Facility 13: log audit. */
const facility = 13;
/** The number of RFC 5612 for those that have none: this project has no private enterprise number. */
const structuredDataId = 'kataAudit@32473';

/**
 * Returns an audit record as a message of RFC 5424, with its length before it (RFC 6587, octet counting, as RFC 5425 requires).
 * The line is the MSG, unchanged: it is ASCII.
 */
export function syslogMessage({ line, record }: SentLine, log: LogIdentity): Buffer {
  const priority = facility * 8 + severityOf(record).syslog;
  const parameters = recordFields.flatMap(({ syslog, of }) => {
    const value = syslog === undefined ? undefined : of({ log, record });
    return syslog === undefined || value === undefined ? [] : [` ${syslog}="${escaped(String(value))}"`];
  });
  const head = [
    `<${priority}>1`,
    timestamp(record.wall),
    printable(log.agent, 255),
    'kata-agent',
    '-',
    printable(record.kind, 32),
    `[${structuredDataId}${parameters.join('')}]`,
  ].join(' ');
  const message = Buffer.concat([Buffer.from(`${head} `), line]);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** RFC 3339, with at most 6 digits of a second. A guest can write anything. */
function timestamp(wall: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(wall) ? wall : '-';
}

/** A text for the header: printable ASCII without spaces. */
function printable(text: string, max: number): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, max) || '-';
}

/**
 * A value of structured data: UTF-8 (a lone surrogate becomes U+FFFD), with `"`, `\` and `]` escaped as RFC 5424 requires. Control characters, which it allows, are
 * written as in JSON: receivers cut or replace them, each in its own way.
 */
function escaped(text: string): string {
  return text
    .replace(/["\\\]]/g, (character) => `\\${character}`)
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
      (character) => `\\\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}
