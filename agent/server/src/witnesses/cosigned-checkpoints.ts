import { type Checkpoint, formatCheckpoint } from '@kata-agent/tlog';

/** Checkpoints that wait for further cosignatures. Witnesses are asked for one after the other, most of them for the newest. */
const maxWaiting = 32;

/** A checkpoint that the quorum has cosigned. */
export interface CosignedCheckpoint {
  readonly size: number;
  /** With the cosignatures so far. */
  readonly text: string;
}

/** Collects the cosignatures of witnesses until a quorum has cosigned one checkpoint. */
export class CosignedCheckpoints {
  readonly #quorum: number;
  /** By text, the oldest first. */
  readonly #waiting = new Map<string, Checkpoint>();
  #newest: CosignedCheckpoint | undefined;

  constructor(quorum: number) {
    this.#quorum = quorum;
  }

  /** The newest checkpoint with a quorum. */
  get newest(): CosignedCheckpoint | undefined {
    return this.#newest;
  }

  /** Adds a checkpoint with cosignatures. Returns whether `newest` has changed. */
  add(checkpoint: Checkpoint): boolean {
    const { text, head } = checkpoint;
    const before = this.#waiting.get(text)?.witnesses ?? [];
    const added = checkpoint.witnesses;
    const kept = before.filter(({ by }) => added.every((other) => other.by.toString() !== by.toString()));
    const all = { ...checkpoint, witnesses: [...kept, ...added] };
    this.#waiting.set(text, all);
    for (const old of this.#waiting.keys()) {
      if (this.#waiting.size <= maxWaiting) break;
      this.#waiting.delete(old);
    }
    if (all.witnesses.length < this.#quorum || head.size < (this.#newest?.size ?? 0)) return false;
    this.#newest = { size: head.size, text: formatCheckpoint(all) };
    return true;
  }
}
