import { createHash } from 'node:crypto';
import {
  checkPlace,
  maxRevocations,
  type Revocation,
  type RevocationList,
  type Revocations,
  TooManyRevocations,
} from '../../store/revocations.js';
import type { KV } from '@nats-io/kv';
import { fieldsOf, forms, type Malformed, revokedOf, textOf } from './bus-messages.js';
import { type Change, isConflict, WatchedBucket } from './watched-bucket.js';

/** Of all entries together: names of entries on the bus need not be those of the authorization file. */
const maxInAll = 16 * maxRevocations;

interface Options {
  readonly kv: KV;
  readonly onAdded: (revocation: Revocation) => void;
  readonly onFailure: (error: Error) => void;
  readonly malformed: Malformed;
  readonly log: (message: string, error?: Error) => void;
}

/**
 * Revocations in a bucket that all replicas follow. They only grow: what is removed from the bucket, or changed, is written there
 * again by each replica that knows it, also after a restart.
 */
export class NatsRevocations implements RevocationList {
  readonly bucket: WatchedBucket;
  readonly #options: Options;
  readonly #all = new Map<string, Revocation>();
  readonly #byEntry = new Map<string, Revocation[]>();
  /** The copy of this replica. */
  #kept: Revocations | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.bucket = new WatchedBucket(options.kv, (change) => this.#take(change), options.onFailure);
  }

  /** Keeps a copy, and says what the copy has and the bucket has not. Throws the system's error. */
  async keep(copy: Revocations): Promise<void> {
    await this.bucket.settle();
    const lost = copy.all.filter((revocation) => !this.#all.has(keyOf(revocation)));
    for (const revocation of lost) await this.#write(revocation);
    if (lost.length > 0)
      this.#options.log('revocations of --store were not on the bus, and are there now', countOf(lost));
    this.#kept = copy;
    await copy.addAll([...this.#all.values()]);
  }

  list(entry: string): readonly Revocation[] {
    return this.#byEntry.get(entry) ?? [];
  }

  async settled(): Promise<void> {
    await this.bucket.settle();
  }

  check(revocation: Revocation): void {
    if (this.#all.has(keyOf(revocation))) return;
    if (this.#isFull(revocation)) throw tooMany(revocation);
    checkPlace(this.list(revocation.entry), revocation);
  }

  async add(revocation: Revocation): Promise<void> {
    const key = keyOf(revocation);
    if (this.#all.has(key)) return;
    this.check(revocation);
    await this.#write(revocation);
    await this.bucket.settle();
    // Another replica may have added the last one that fits.
    if (!this.#all.has(key)) throw tooMany(revocation);
    await this.#kept?.addAll([revocation]);
  }

  async #write(revocation: Revocation): Promise<void> {
    try {
      await this.#options.kv.create(keyOf(revocation), JSON.stringify(revocation));
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  #take({ key, value }: Change): void {
    const known = this.#all.get(key);
    const revocation = value === undefined ? undefined : parseRevocation(value);
    if (revocation === undefined || keyOf(revocation) !== key) {
      if (known !== undefined) this.#restore(key, known);
      else if (value !== undefined) this.#options.malformed.add('a revocation');
      return;
    }
    if (known !== undefined) return;
    if (this.#isFull(revocation)) return this.#options.malformed.add('a revocation beyond the limit');
    this.#all.set(key, revocation);
    const ofEntry = this.#byEntry.get(revocation.entry);
    if (ofEntry === undefined) this.#byEntry.set(revocation.entry, [revocation]);
    else ofEntry.push(revocation);
    this.#options.onAdded(revocation);
    void this.#kept?.addAll([revocation]).catch(this.#options.onFailure);
  }

  #isFull({ entry }: Revocation): boolean {
    return this.list(entry).length >= maxRevocations || this.#all.size >= maxInAll;
  }

  /** Nothing takes a revocation back: no replica removes one. */
  #restore(key: string, revocation: Revocation): void {
    const { kv, malformed, onFailure } = this.#options;
    malformed.add('the removal of a revocation, which is undone');
    kv.put(key, JSON.stringify(revocation)).catch(onFailure);
  }
}

function tooMany({ entry }: Revocation): TooManyRevocations {
  return new TooManyRevocations(
    `[[guest]] "${entry}" has ${maxRevocations} revocations already, and its guests accept no more`,
    'replace the CA of its operators, or revoke a pattern that includes others',
  );
}

function countOf(revocations: readonly Revocation[]): Error {
  return new Error(`${revocations.length} were missing`);
}

function parseRevocation(value: unknown): Revocation | undefined {
  const given = fieldsOf(value);
  const revoked = revokedOf(given);
  const entry = textOf(given?.['entry'], forms.entry);
  const at = textOf(given?.['at'], forms.time);
  const by = textOf(given?.['by'], forms.operatorHash);
  return revoked === undefined || entry === undefined || at === undefined || by === undefined
    ? undefined
    : { ...revoked, entry, at, by };
}

function keyOf({ entry, peer, serial, issuer }: Revocation): string {
  const text = JSON.stringify([entry, peer, serial, issuer]);
  return `r.${createHash('sha256').update(text).digest('hex')}`;
}
