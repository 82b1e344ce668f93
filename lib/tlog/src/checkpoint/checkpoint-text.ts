import { parseDecimal } from '../encoding/decimal.js';
import { quote } from '../encoding/quote.js';
import { TextFormError } from '../encoding/text-form-error.js';
import type { TreeHead } from '../merkle/tree-head.js';
import { treeHashOfBase64, treeHashToBase64 } from '../merkle/tree-hash.js';

/** What the text of a checkpoint says. */
export interface CheckpointText {
  /** Names the log. */
  readonly origin: string;
  readonly head: TreeHead;
}

/** Returns three lines: origin, size, root (C2SP tlog-checkpoint v1.0.0, "Note text"). */
export function formatCheckpointText({ origin, head }: CheckpointText): string {
  return `${origin}\n${head.size}\n${treeHashToBase64(head.root)}\n`;
}

/**
 * Parses the text of a checkpoint. Extension lines are refused: they are not recommended, nobody audits them, and
 * everything that a checkpoint of ours says is in its three lines (docs/trust.md, "The audit log"). Throws a
 * TextFormError.
 */
export function parseCheckpointText(text: string): CheckpointText {
  const [origin = '', size = '', root = '', ...rest] = text.split('\n');
  if (origin === '') throw new TextFormError('checkpoint, line 1: the origin is empty');
  const leaves = parseDecimal(size);
  if (leaves === undefined)
    throw new TextFormError(`checkpoint, line 2: ${quote(size)} is not a size below 2^53`);
  const hash = treeHashOfBase64(root);
  if (hash === undefined)
    throw new TextFormError(`checkpoint, line 3: ${quote(root)} is not the base64 of 32 bytes`);
  if (rest.length !== 1 || rest[0] !== '')
    throw new TextFormError('checkpoint, line 4: extension lines are not accepted');
  return { origin, head: { size: leaves, root: hash } };
}
