import {
  Frontier,
  type LogVerifier,
  parseAgentLogVerifier,
  TextFormError,
  type TreeHash,
} from '@kata-agent/tlog';
import { lineHashes } from '../chain/written-record.js';
import type { AuditRecord, BootRecord, RemovedSummary } from '../record/record.js';
import { LoggedTree } from './logged-tree.js';

interface Part {
  readonly first: number;
  readonly boot: BootRecord | undefined;
  readonly leaves: TreeHash[];
}

/**
 * Builds the trees of a log that is fed to it line by line, oldest first: one for each start of the agent. Does no I/O. What a
 * line says is not believed: a changed one is a leaf as well, of another hash.
 */
export class TreeReader {
  readonly #parts: Part[] = [];
  readonly #removals: RemovedSummary[] = [];

  /** `record` is undefined for a line that is not one. */
  line(bytes: Buffer, record: AuditRecord | undefined): void {
    const last = this.#parts.at(-1);
    const { leaf } = lineHashes(bytes);
    const boot = record?.kind === 'boot' ? record : undefined;
    if (boot !== undefined || last === undefined)
      this.#parts.push({ first: record?.sequence ?? 0, boot, leaves: [leaf] });
    else last.leaves.push(leaf);
    if (record?.kind === 'rotated' && record.removed !== undefined) this.#removals.push(record.removed);
  }

  /** Returns the trees, oldest first. Of the first one that is left out whose beginning is unknown. */
  trees(): readonly LoggedTree[] {
    return this.#parts.flatMap(({ first, boot, leaves }) => {
      if (boot !== undefined) return new LoggedTree({ first, key: keyOf(boot.logKey), leaves });
      const removed = this.#removals.find(({ last }) => last.sequence === first - 1)?.tree;
      const frontier = frontierOf(removed?.frontier);
      return removed === undefined || frontier?.size !== first - removed.first
        ? []
        : new LoggedTree({ first: removed.first, key: keyOf(removed.key), frontier, leaves });
    });
  }
}

function keyOf(key: unknown): LogVerifier | undefined {
  return typeof key === 'string' ? unlessMalformed(() => parseAgentLogVerifier(key)) : undefined;
}

function frontierOf(text: unknown): Frontier | undefined {
  return typeof text === 'string' ? unlessMalformed(() => Frontier.parse(text)) : undefined;
}

function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TextFormError) return undefined;
    throw error;
  }
}
