import { parseCheckpoint, type UnverifiedCheckpoint } from '../checkpoint/checkpoint.js';
import { parseDecimal } from '../encoding/decimal.js';
import { decodeText } from '../encoding/decode-text.js';
import { formatHashLines, parseHashLines, splitAtCheckpoint } from '../merkle/hash-lines.js';
import { quote } from '../encoding/quote.js';
import { TextFormError } from '../encoding/text-form-error.js';
import type { ConsistencyProof } from '../merkle/consistency.js';

/** The largest body of a request. A server can refuse longer ones before they have arrived. */
export const maxAddCheckpointBytes: number = 264 * 1024;

/** A request to a witness. */
export interface AddCheckpointRequest {
  /** The size of the last checkpoint that the witness has cosigned, as the client believes; 0 for none. */
  readonly oldSize: number;
  readonly proof: ConsistencyProof;
  readonly checkpoint: UnverifiedCheckpoint;
}

/**
 * Returns the body of a request (C2SP tlog-witness of 2026-07-22, "add-checkpoint"). `checkpoint` is one as
 * signCheckpoint returns it.
 */
export function formatAddCheckpoint(oldSize: number, proof: ConsistencyProof, checkpoint: string): string {
  return `old ${oldSize}\n${formatHashLines(proof)}\n${checkpoint}`;
}

/** Parses the body of a request. Verifies nothing. Throws a TextFormError, for which the answer is 400. */
export function parseAddCheckpoint(body: Uint8Array | string): AddCheckpointRequest {
  const text = decodeText(body, 'request', maxAddCheckpointBytes);
  const { lines, checkpoint } = splitAtCheckpoint(text, 'request');
  const [first = '', ...hashes] = lines;
  const oldSize = first.startsWith('old ') ? parseDecimal(first.slice('old '.length)) : undefined;
  if (oldSize === undefined)
    throw new TextFormError(`request, line 1: ${quote(first)} is not "old" and a size below 2^53`);
  return { oldSize, proof: parseHashLines(hashes, 'request'), checkpoint: parseCheckpoint(checkpoint) };
}
