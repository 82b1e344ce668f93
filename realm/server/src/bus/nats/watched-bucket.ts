import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { KV, KvWatchEntry } from '@nats-io/kv';

const wrongLastSequence = 10_071;
const probeKey = 'probe';

/** Reports whether a change was refused since another one came before. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === wrongLastSequence;
}

/** A change of a key. `value` is undefined when it was removed, and null when it is not JSON. */
export interface Change {
  readonly key: string;
  readonly value: unknown;
  readonly revision: number;
}

/** Follows a bucket, and knows how fresh it is. */
export class WatchedBucket {
  readonly kv: KV;
  readonly #onChange: (change: Change) => void;
  readonly #onFailure: (error: Error) => void;
  #seen = 0;
  #freshAt = Number.NEGATIVE_INFINITY;
  #waiting: { readonly revision: number; readonly done: () => void }[] = [];
  #over = false;
  #watch: { stop: () => void } | undefined;

  constructor(kv: KV, onChange: (change: Change) => void, onFailure: (error: Error) => void) {
    this.kv = kv;
    this.#onChange = onChange;
    this.#onFailure = onFailure;
    void this.#follow();
  }

  /** When everything that was written was seen, in ms of `performance.now()`. */
  get freshAt(): number {
    return this.#freshAt;
  }

  /** Resolves when every change before this call was seen. Rejects if the bus cannot be used. */
  async settle(timeoutMs = 5_000): Promise<void> {
    const begin = performance.now();
    const revision = await this.kv.put(probeKey, '', { timeout: timeoutMs });
    if (this.#seen < revision) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve, reject) => {
        const waiting = { revision, done: resolve };
        timer = setTimeout(() => {
          this.#waiting = this.#waiting.filter((each) => each !== waiting);
          reject(new Error('changes on the bus do not arrive'));
          // The server may have forgotten who watches.
          this.#watch?.stop();
        }, timeoutMs);
        this.#waiting.push(waiting);
      }).finally(() => clearTimeout(timer));
    }
    this.#freshAt = Math.max(this.#freshAt, begin);
  }

  stop(): void {
    this.#over = true;
    this.#watch?.stop();
  }

  async #follow(): Promise<void> {
    while (!this.#over) {
      try {
        const watch = await this.kv.watch();
        this.#watch = watch;
        for await (const entry of watch) this.#take(entry);
      } catch (error) {
        if (!this.#over) this.#onFailure(error as Error);
      }
      if (!this.#over) await sleep(500, undefined, { ref: false });
    }
  }

  #take(entry: KvWatchEntry): void {
    const { key, revision, operation } = entry;
    this.#seen = Math.max(this.#seen, revision);
    if (key !== probeKey) {
      try {
        this.#onChange({ key, revision, value: operation === 'PUT' ? parseJson(entry.string()) : undefined });
      } catch (error) {
        this.#onFailure(error as Error);
      }
    }
    const reached = this.#waiting.filter((each) => each.revision <= this.#seen);
    if (reached.length === 0) return;
    this.#waiting = this.#waiting.filter((each) => each.revision > this.#seen);
    for (const { done } of reached) done();
  }
}

/** Returns the JSON of a text; null if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
