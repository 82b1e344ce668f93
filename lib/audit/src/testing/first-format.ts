import { createHash } from 'node:crypto';
import type { AuditRecord } from '../record/record.js';

/**
 * Returns lines as an earlier version wrote them, in the first format: the hash of a record is the SHA-256 of what is before it.
 * Summaries of rotated records keep their hashes of the second one.
 */
export function inFirstFormat(lines: readonly string[]): readonly string[] {
  let prev = '0'.repeat(64);
  return lines.map((line) => {
    const { hash: _, ...record } = JSON.parse(line) as AuditRecord;
    const body = JSON.stringify({ ...record, prev }).slice(0, -1);
    prev = createHash('sha256').update(body).digest('hex');
    return `${body},"hash":"${prev}"}`;
  });
}
