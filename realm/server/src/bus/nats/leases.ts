import { inParallel, Semaphore } from '@kata-agent/base';
import type { KV } from '@nats-io/kv';
import type { RemoteGuest } from '../../guest.js';
import { type GuestClaim, type Lease, NameTakenError } from '../bus.js';
import { type GuestEntry, type Malformed, parseGuestEntry, parseNameEntry } from './bus-messages.js';
import { hex, hexOf } from './subjects.js';
import { type Change, isConflict, parseJson } from './watched-bucket.js';

/** Times of leases, in ms. */
export interface LeaseTimes {
  /** Of the bucket: an entry that nobody renews is removed. */
  readonly ttlMs: number;
  readonly renewMs: number;
  /** A holder trusts a lease by this less than the bucket keeps it. */
  readonly marginMs: number;
}

export const leaseTimes: LeaseTimes = { ttlMs: 15_000, renewMs: 5_000, marginMs: 1_000 };

/** Attempts against others that change the same entry. */
const attempts = 4;
const atOnce = 64;

interface Own {
  readonly claim: GuestClaim;
  epoch: number;
  revision: number;
  nameRevision: number;
  validUntil: number;
  over: boolean;
  /** One change at a time. */
  readonly work: Semaphore;
}

export interface LeasesOptions {
  readonly kv: KV;
  readonly replica: string;
  readonly times: LeaseTimes;
  readonly malformed: Malformed;
  /** Resolves when every change of the bucket before this call was taken. */
  readonly settled: () => Promise<void>;
  /** Is called with the epoch that the guest has now; 0: none. */
  readonly onMoved: (guest: string, epoch: number) => void;
}

/** The replica that holds each guest: entries of a bucket. An entry is changed only with its revision. */
export class Leases {
  readonly #kv: KV;
  readonly #replica: string;
  readonly #times: LeaseTimes;
  readonly #own = new Map<string, Own>();
  /** All guests in the bucket, also those of this replica. */
  readonly #seen = new Map<string, { readonly guest: RemoteGuest; readonly seenAt: number }>();
  readonly #options: LeasesOptions;
  readonly #timer: NodeJS.Timeout;
  #renewing = false;

  constructor(options: LeasesOptions) {
    const { kv, replica, times } = options;
    this.#options = options;
    this.#kv = kv;
    this.#replica = replica;
    this.#times = times;
    this.#timer = setInterval(() => void this.#renewAll(), times.renewMs).unref();
  }

  remote(): readonly RemoteGuest[] {
    return [...this.#seen.keys()].flatMap((id) => this.remoteOf(id) ?? []);
  }

  /** Returns a guest of another replica that has been renewed lately. */
  remoteOf(id: string): RemoteGuest | undefined {
    const guest = this.#freshOf(id);
    return guest?.holder.replica === this.#replica ? undefined : guest;
  }

  /** Reports whether this replica holds the guest with this epoch. */
  holds(guest: string, epoch: number): boolean {
    const own = this.#own.get(guest);
    return own !== undefined && own.epoch === epoch && isValid(own);
  }

  async claim(claim: GuestClaim): Promise<Lease> {
    const own: Own = {
      claim,
      epoch: 0,
      revision: 0,
      nameRevision: 0,
      validUntil: 0,
      over: false,
      work: new Semaphore(1),
    };
    const before = this.#own.get(claim.id);
    if (before !== undefined) before.over = true;
    await before?.work.run(async () => undefined);
    await this.#claim(own);
    this.#own.set(claim.id, own);
    const touch = (): void => void this.#renewSoon(own);
    return {
      get epoch() {
        return own.epoch;
      },
      get isValid() {
        return isValid(own);
      },
      touch,
      release: async () => {
        own.over = true;
        if (this.#own.get(claim.id) === own) this.#own.delete(claim.id);
        await own.work.run(() => this.#release(own));
      },
    };
  }

  /** Takes a change of the bucket. */
  take({ key, value, revision }: Change): void {
    const [, id] = /^g\.([0-9a-f]{64})$/.exec(key) ?? [];
    if (id === undefined) return;
    const { onMoved, malformed } = this.#options;
    const entry = value === undefined ? undefined : parseGuestEntry(id, value);
    if (entry === undefined) {
      if (value !== undefined) malformed.add('the entry of a guest');
      if (this.#seen.delete(id)) onMoved(id, 0);
      return;
    }
    const { replica, epoch: givenEpoch, ...guest } = entry;
    const epoch = givenEpoch === 0 ? revision : givenEpoch;
    onMoved(id, epoch);
    this.#seen.set(id, { guest: { ...guest, holder: { replica, epoch } }, seenAt: performance.now() });
    const own = this.#own.get(id);
    if (replica !== this.#replica && own !== undefined && epoch > own.epoch)
      this.#lose(own, 'the guest has connected to another replica');
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** `again`: a lease that has lapsed, which must not be taken from another replica. */
  async #claim(own: Own, again = false): Promise<void> {
    const { claim } = own;
    const sentAt = performance.now();
    own.nameRevision = await this.#claimName(claim);
    own.revision = await this.#change(`g.${hex(claim.id)}`, (before) => {
      const held = parseGuestEntry(claim.id, before);
      if (again && held !== undefined && held.replica !== this.#replica)
        throw new NameTakenError('the guest has connected to another replica');
      return this.#entry(own, 0);
    });
    own.epoch = own.revision;
    await this.#checkMax(own);
    own.validUntil = sentAt + this.#times.ttlMs - this.#times.marginMs;
  }

  /**
   * Throws a NameTakenError if as many guests of the entry as it may have were claimed before this one. The bucket has one order
   * of all claims, so that replicas that claim at the same moment agree which of them were the first.
   */
  async #checkMax(own: Own): Promise<void> {
    const { id, entry, max } = own.claim;
    if (max === 1) return; // the name is the only one
    await this.#options.settled();
    const before = [...this.#seen.keys()].filter((other) => {
      const guest = other === id ? undefined : this.#freshOf(other);
      return guest?.entry === entry && guest.holder.epoch < own.epoch;
    });
    const later = this.#seen.get(id)?.guest.holder;
    // It has dialled another replica meanwhile: the entry is no longer ours.
    if (later !== undefined && later.replica !== this.#replica && later.epoch > own.epoch)
      throw new NameTakenError('the guest has connected to another replica');
    if (before.length < max) return;
    own.over = true;
    await this.#release(own);
    throw new NameTakenError(`[[guest]] "${entry}" has max = ${max}, and as many are connected`);
  }

  /** Returns a guest that has been renewed lately, by any replica. */
  #freshOf(id: string): RemoteGuest | undefined {
    const found = this.#seen.get(id);
    return found !== undefined && found.seenAt >= performance.now() - this.#times.ttlMs
      ? found.guest
      : undefined;
  }

  async #claimName({ id, name }: GuestClaim): Promise<number> {
    return await this.#change(nameKey(name), (before) => {
      const guest = before === undefined ? id : parseNameEntry(before);
      if (guest !== id) throw new NameTakenError(`another replica has a connected guest of the name ${name}`);
      return { guest: id };
    });
  }

  /** Replaces an entry of any replica; `value` decides from what is there. */
  async #change(key: string, value: (before: unknown) => object): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      const before = await this.#kv.get(key);
      const found = before?.operation === 'PUT' ? parseJson(before.string()) : undefined;
      const next = JSON.stringify(value(found));
      try {
        return await this.#kv.put(key, next, { previousSeq: before?.revision ?? 0 });
      } catch (error) {
        if (!isConflict(error) || attempt === attempts) throw error;
      }
    }
  }

  #entry({ claim }: Own, epoch: number): object {
    const { id, name, entry, relay, attested, described, connectedAt } = claim;
    const value: GuestEntry = {
      id,
      name,
      entry,
      relay,
      attested,
      described,
      connectedAt,
      log: claim.log(),
      replica: this.#replica,
      epoch,
    };
    return value;
  }

  async #renewAll(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    try {
      await inParallel([...this.#own.values()], atOnce, (own) => this.#renewSoon(own));
    } finally {
      this.#renewing = false;
    }
  }

  async #renewSoon(own: Own): Promise<void> {
    await own.work.run(() => this.#renew(own)).catch(() => undefined);
  }

  /** Renews, or claims again what has lapsed. Throws if the bus cannot be used: then the lease lapses by itself. */
  async #renew(own: Own): Promise<void> {
    if (own.over) return;
    const key = `g.${hex(own.claim.id)}`;
    const sentAt = performance.now();
    try {
      try {
        own.revision = await this.#put(key, this.#entry(own, own.epoch), own.revision);
      } catch (error) {
        if (!isConflict(error)) throw error;
        const found = await this.#kv.get(key);
        const value = found?.operation === 'PUT' ? parseJson(found.string()) : undefined;
        const entry = parseGuestEntry(own.claim.id, value);
        if (entry === undefined || found === null) {
          if (!own.over) await this.#claim(own, true);
          return;
        }
        const epoch = entry.epoch === 0 ? found.revision : entry.epoch;
        // An earlier change of ours, whose answer was lost.
        if (entry.replica !== this.#replica || epoch !== own.epoch)
          return this.#lose(own, 'the guest has connected to another replica');
        own.revision = await this.#put(key, this.#entry(own, own.epoch), found.revision);
      }
      const name = nameKey(own.claim.name);
      try {
        own.nameRevision = await this.#put(name, { guest: own.claim.id }, own.nameRevision);
      } catch (error) {
        if (!isConflict(error)) throw error;
        own.nameRevision = await this.#claimName(own.claim);
      }
      own.validUntil = sentAt + this.#times.ttlMs - this.#times.marginMs;
    } catch (error) {
      if (error instanceof NameTakenError) return this.#lose(own, error.message);
      throw error;
    }
  }

  async #put(key: string, value: object, revision: number): Promise<number> {
    return await this.#kv.put(key, JSON.stringify(value), { previousSeq: revision });
  }

  #lose(own: Own, why: string): void {
    if (own.over) return;
    own.over = true;
    if (this.#own.get(own.claim.id) === own) this.#own.delete(own.claim.id);
    own.claim.onLost(why);
  }

  /** Removes the entries, unless another replica has them: then nothing of them is ours. */
  async #release(own: Own): Promise<void> {
    try {
      await this.#kv.delete(`g.${hex(own.claim.id)}`, { previousSeq: own.revision });
      await this.#kv.delete(nameKey(own.claim.name), { previousSeq: own.nameRevision });
    } catch {
      // Another replica has them, or the bus is away: they end by themselves.
    }
  }
}

function isValid(own: Own): boolean {
  return !own.over && performance.now() < own.validUntil;
}

function nameKey(name: string): string {
  return `n.${hexOf(name)}`;
}
