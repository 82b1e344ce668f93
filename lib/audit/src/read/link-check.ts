import { positionBefore, positionOf, type Read, readRecord } from '../chain/chain.js';
import type { AuditRecord, Position } from '../record/record.js';
import { isPrintable, printableJson } from '../record/written.js';
import { sequenceOf } from '../chain/line-reader.js';

/** What is wrong with a line that arrived from another machine. */
export interface LinkFault {
  /**
   * `damaged`: the line is not a record. `missing`: records before it did not arrive. `repeated`: it has the sequence number
   * of an earlier one. `unlinked`: it does not contain the hash of the one before.
   */
  readonly kind: 'damaged' | 'missing' | 'repeated' | 'unlinked';
  readonly what: string;
  /** Of `missing`: how many records. */
  readonly count?: number;
}

/** A line, its record if it is one, and its fault if it has one. */
export type Linked =
  | { readonly record: AuditRecord; readonly fault?: LinkFault }
  | { readonly record?: never; readonly fault: LinkFault };

/** Checks that lines which arrive from another machine are records, each of which follows the one before. */
export class LinkCheck {
  readonly #from: number | undefined;
  #last: Position | undefined;

  /**
   * `after`: the position that the first line follows. Without one `from` is the sequence number that was requested: records
   * before the first that arrives are missing; without both, the first line can be any record.
   */
  constructor(options: { readonly after?: Position; readonly from?: number } = {}) {
    this.#last = options.after;
    this.#from = options.from;
  }

  /** Takes the next line, without its newline. A record with a fault counts as the last one all the same. */
  next(line: Uint8Array): Linked {
    const bytes = Buffer.from(line.buffer, line.byteOffset, line.length);
    const read = readRecord(bytes);
    if (!read.ok) return { fault: { kind: 'damaged', what: read.what } };
    const { record } = read;
    // The hash would match all the same; a file of such lines would have others.
    if (!isPrintable(bytes) || sequenceOf(bytes) !== record.sequence)
      return { fault: { kind: 'damaged', what: 'not a record: it is not written as records are' } };
    const fault = this.#fault(record);
    this.#last = positionOf(record);
    return fault === undefined ? { record } : { record, fault };
  }

  #fault(record: AuditRecord): LinkFault | undefined {
    const { sequence } = record;
    const last = this.#last;
    if (last === undefined) {
      const first = this.#from ?? sequence;
      return sequence > first ? missing(first, sequence) : undefined;
    }
    const before = positionBefore(record);
    if (before.sequence > last.sequence) return missing(last.sequence + 1, sequence);
    if (before.sequence < last.sequence)
      return {
        kind: 'repeated',
        what: `record ${sequence}: out of order or repeated after record ${last.sequence}`,
      };
    if (before.hash === last.hash) return undefined;
    return {
      kind: 'unlinked',
      what: `record ${sequence}: it does not contain the hash of record ${last.sequence}`,
    };
  }
}

function missing(first: number, sequence: number): LinkFault {
  return {
    kind: 'missing',
    what: `record ${sequence}: records ${first} to ${sequence - 1} are missing; rotation removed them, or they were withheld`,
    count: sequence - first,
  };
}

/**
 * Parses lines as they arrive from another machine, and checks that each record follows the one before. A line that is
 * not a record, or that does not follow, is yielded as a problem; a record after missing ones is yielded too. With
 * `from`, the sequence number that was requested, records before the first that arrives are missing too.
 */
export async function* linkedRecords(
  groups: AsyncIterable<readonly Uint8Array[]>,
  from?: number,
): AsyncGenerator<Read, void> {
  const check = new LinkCheck(from === undefined ? {} : { from });
  for await (const lines of groups) {
    for (const line of lines) {
      const { record, fault } = check.next(line);
      if (fault !== undefined) yield { ok: false, what: fault.what };
      if (record !== undefined) yield { ok: true, record, line: Buffer.from(line) };
    }
  }
}

/**
 * Returns the line of a record, without its newline, as it was written, so that a copy has the same hashes. Only of a line with
 * bytes that no agent writes the record is encoded anew: they could affect a terminal.
 */
export function writtenLine({ record, line }: Extract<Read, { ok: true }>): string {
  return isPrintable(line) ? line.toString('latin1') : printableJson(JSON.stringify(record));
}
