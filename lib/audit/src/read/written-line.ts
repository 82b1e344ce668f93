import type { Read } from '../chain/chain.js';
import { isPrintable, printableJson } from '../record/written.js';

/**
 * Returns the line of a record, without its newline, as it was written, so that a copy has the same hashes. Only of a line with
 * bytes that no agent writes the record is encoded anew: they could affect a terminal.
 */
export function writtenLine({ record, line }: Extract<Read, { ok: true }>): string {
  return isPrintable(line) ? line.toString('latin1') : printableJson(JSON.stringify(record));
}
