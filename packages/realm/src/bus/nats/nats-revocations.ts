import { createHash } from 'node:crypto';
import { mostRevocations, type Revocation, type RevocationList } from '../../store/revocations.js';
import { StoreError } from '../../store/store-error.js';
import type { KV } from '@nats-io/kv';
import { type Change, isConflict, WatchedBucket } from './watched-bucket.js';

/** Revocations in a bucket that all replicas follow. */
export class NatsRevocations implements RevocationList {
  readonly bucket: WatchedBucket;
  readonly #all = new Map<string, Revocation>();
  readonly #onAdded: (revocation: Revocation) => void;

  constructor(kv: KV, onAdded: (revocation: Revocation) => void, onFailure: (error: Error) => void) {
    this.#onAdded = onAdded;
    this.bucket = new WatchedBucket(kv, (change) => this.#take(change), onFailure);
  }

  list(entry: string): readonly Revocation[] {
    return [...this.#all.values()].filter((revocation) => revocation.entry === entry);
  }

  async settled(): Promise<void> {
    await this.bucket.settle();
  }

  async add(revocation: Revocation): Promise<void> {
    const { entry } = revocation;
    const key = keyOf(revocation);
    if (this.#all.has(key)) return;
    if (this.list(entry).length >= mostRevocations)
      throw new StoreError(
        `[[guest]] "${entry}" has ${mostRevocations} revocations already, and its guests accept no more`,
        'replace the CA of its operators, or revoke a pattern that includes others',
      );
    try {
      await this.bucket.kv.create(key, JSON.stringify(revocation));
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    await this.bucket.settle();
  }

  #take({ key, value }: Change): void {
    if (value === undefined || this.#all.has(key)) return;
    const revocation = value as Revocation;
    this.#all.set(key, revocation);
    this.#onAdded(revocation);
  }
}

function keyOf({ entry, peer, serial, issuer }: Revocation): string {
  const text = JSON.stringify([entry, peer, serial, issuer]);
  return `r.${createHash('sha256').update(text).digest('hex')}`;
}
