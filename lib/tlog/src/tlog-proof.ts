import {
  type Checkpoint,
  type CheckpointKeys,
  formatCheckpoint,
  parseCheckpoint,
  type UnverifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint/checkpoint.js';
import { decodeBase64, decodeText, encodeBase64, parseDecimal, quote, TextFormError } from './text-form.js';
import { formatHashLines, leafHash, parseHashLines, splitAtCheckpoint } from './merkle/tree-hash.js';
import { checkInclusion, type InclusionProof } from './merkle/proofs.js';

/** First line of a proof (C2SP tlog-proof of 2026-05-22, "Format"; the document has no version yet). */
const header = 'c2sp.org/tlog-proof@v1';
const maxProofBytes = 2 * 1024 * 1024;

/** A proof that a log has a leaf. It does not have the leaf itself. */
export interface TlogProof {
  /** Bytes that nothing protects, such as the leaf. */
  readonly extra?: Uint8Array;
  /** Counts from 0. */
  readonly index: number;
  readonly inclusion: InclusionProof;
  readonly checkpoint: UnverifiedCheckpoint;
}

/** Returns a proof as text, with those signatures of the checkpoint that were verified. */
export function formatTlogProof(
  proof: Omit<TlogProof, 'checkpoint'> & { readonly checkpoint: Checkpoint },
): string {
  const extra =
    proof.extra === undefined || proof.extra.byteLength === 0 ? '' : `extra ${encodeBase64(proof.extra)}\n`;
  const lines = `${extra}index ${proof.index}\n${formatHashLines(proof.inclusion)}`;
  return `${header}\n${lines}\n${formatCheckpoint(proof.checkpoint)}`;
}

/** Parses a proof. Verifies nothing. Throws a TextFormError. */
export function parseTlogProof(input: Uint8Array | string): TlogProof {
  const { lines, checkpoint } = splitAtCheckpoint(decodeText(input, 'proof', maxProofBytes), 'proof');
  const [first, ...rest] = lines;
  if (first !== header) throw new TextFormError(`proof, line 1: it is not ${header}`);
  const extra = rest[0]?.startsWith('extra ') === true ? extraOf(rest.shift()) : {};
  const [indexLine = '', ...hashes] = rest;
  const index = indexLine.startsWith('index ') ? parseDecimal(indexLine.slice('index '.length)) : undefined;
  if (index === undefined)
    throw new TextFormError(`proof: ${quote(indexLine)} is not "index" and a number below 2^53`);
  const inclusion = parseHashLines(hashes, 'proof');
  return { ...extra, index, inclusion, checkpoint: parseCheckpoint(checkpoint) };
}

function extraOf(line = ''): { readonly extra: Uint8Array } {
  const extra = decodeBase64(line.slice('extra '.length));
  if (extra === undefined || extra.byteLength === 0)
    throw new TextFormError('proof, line 2: extra is not base64 of at least one byte');
  return { extra };
}

/**
 * Verifies that a log has this leaf, and returns the checkpoint that says so (C2SP tlog-proof of 2026-05-22, "Verifying a
 * tlog proof"). Whether its witnesses are enough, and their times, is for the caller to decide. Throws a
 * NoteSignatureError or a ProofError.
 */
export function verifyProof(proof: TlogProof, leaf: Uint8Array | string, keys: CheckpointKeys): Checkpoint {
  const checkpoint = verifyCheckpoint(proof.checkpoint, keys);
  checkInclusion(proof.index, leafHash(leaf), checkpoint.head, proof.inclusion);
  return checkpoint;
}
