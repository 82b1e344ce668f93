import { type TreeHash, treeHashOfBase64, treeHashToBase64 } from './tree-hash.js';
import { TextFormError } from '../encoding/text-form-error.js';

/** C2SP tlog-witness, "add-checkpoint". No proof of a tree of up to 2^53 - 1 leaves has more. */
const maxHashLines = 63;

/** Returns one line with a newline for each hash, in base64. */
export function formatHashLines(hashes: readonly TreeHash[]): string {
  return hashes.map((hash) => `${treeHashToBase64(hash)}\n`).join('');
}

/** Parses lines without their newlines. Throws a TextFormError; `what` names the text in it. */
export function parseHashLines(lines: readonly string[], what: string): readonly TreeHash[] {
  if (lines.length > maxHashLines)
    throw new TextFormError(`${what}: it has ${lines.length} hashes, and may have ${maxHashLines}`);
  return lines.map((line, at) => {
    const hash = treeHashOfBase64(line);
    if (hash === undefined) throw new TextFormError(`${what}: hash ${at + 1} is not the base64 of 32 bytes`);
    return hash;
  });
}

/** The two parts of a text that has lines and then, after an empty line, a checkpoint. */
export interface LinesAndCheckpoint {
  readonly lines: readonly string[];
  readonly checkpoint: string;
}

/** Splits such a text at its first empty line. Throws a TextFormError; `what` names the text in it. */
export function splitAtCheckpoint(text: string, what: string): LinesAndCheckpoint {
  const split = text.indexOf('\n\n');
  if (split < 0) throw new TextFormError(`${what}: it has no empty line before a checkpoint`);
  return { lines: text.slice(0, split).split('\n'), checkpoint: text.slice(split + 2) };
}
