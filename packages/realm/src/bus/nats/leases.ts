import type { KV } from '@nats-io/kv';
import type { RemoteGuest } from '../../guests/guest.js';
import { type GuestClaim, type Lease, NameTakenError } from '../bus.js';
import { hex, hexOf } from './subjects.js';
import { type Change, isConflict } from './watched-bucket.js';

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

/** A guest in the bucket. `epoch` is 0 in the entry that claims it: then the epoch is that entry's revision. */
interface GuestEntry extends Omit<RemoteGuest, 'holder'> {
  readonly replica: string;
  readonly epoch: number;
  readonly entry: string;
}

interface NameEntry {
  readonly guest: string;
}

interface Own {
  readonly claim: GuestClaim;
  epoch: number;
  revision: number;
  nameRevision: number;
  validUntil: number;
  over: boolean;
  /** One change at a time. */
  work: Promise<void>;
}

/** Who holds which guest: entries of a bucket, which are changed only by who knows their revision. */
export class Leases {
  readonly #kv: KV;
  readonly #replica: string;
  readonly #times: LeaseTimes;
  readonly #own = new Map<string, Own>();
  readonly #remote = new Map<string, { readonly guest: RemoteGuest; readonly seenAt: number }>();
  readonly #onMoved: (guest: string, epoch: number) => void;
  readonly #timer: NodeJS.Timeout;
  #renewing = false;

  /** `onMoved` is called with the epoch that the guest has now; 0: none. */
  constructor(kv: KV, replica: string, times: LeaseTimes, onMoved: (guest: string, epoch: number) => void) {
    this.#kv = kv;
    this.#replica = replica;
    this.#times = times;
    this.#onMoved = onMoved;
    this.#timer = setInterval(() => void this.#renewAll(), times.renewMs).unref();
  }

  remote(): readonly RemoteGuest[] {
    return [...this.#remote.keys()].flatMap((id) => this.remoteOf(id) ?? []);
  }

  /** Returns a guest of another replica that has been renewed lately. */
  remoteOf(id: string): RemoteGuest | undefined {
    const found = this.#remote.get(id);
    return found !== undefined && found.seenAt >= performance.now() - this.#times.ttlMs
      ? found.guest
      : undefined;
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
      work: Promise.resolve(),
    };
    const before = this.#own.get(claim.id);
    if (before !== undefined) before.over = true;
    await before?.work;
    await this.#claim(own);
    this.#own.set(claim.id, own);
    this.#remote.delete(claim.id);
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
        await own.work;
        await this.#release(own);
      },
    };
  }

  /** Takes a change of the bucket. */
  take({ key, value, revision }: Change): void {
    const [, id] = /^g\.([0-9a-f]{64})$/.exec(key) ?? [];
    if (id === undefined) return;
    const entry = value as GuestEntry | undefined;
    if (entry === undefined) {
      if (this.#remote.delete(id)) this.#onMoved(id, 0);
      return;
    }
    const epoch = entry.epoch === 0 ? revision : entry.epoch;
    this.#onMoved(id, epoch);
    if (entry.replica === this.#replica) {
      this.#remote.delete(id);
      return;
    }
    const { replica, epoch: _epoch, entry: guestEntry, ...guest } = entry;
    this.#remote.set(id, {
      guest: { ...guest, entry: guestEntry, holder: { replica, epoch } },
      seenAt: performance.now(),
    });
    const own = this.#own.get(id);
    if (own !== undefined && epoch > own.epoch) this.#lose(own, 'the guest has connected to another replica');
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
      if (again && before !== undefined && (before as GuestEntry).replica !== this.#replica)
        throw new NameTakenError('the guest has connected to another replica');
      return this.#entry(own, 0);
    });
    own.epoch = own.revision;
    own.validUntil = sentAt + this.#times.ttlMs - this.#times.marginMs;
  }

  async #claimName({ id, name }: GuestClaim): Promise<number> {
    return await this.#change(nameKey(name), (before) => {
      const { guest } = (before ?? { guest: id }) as NameEntry;
      if (guest !== id) throw new NameTakenError(`another replica has a connected guest of the name ${name}`);
      return { guest: id };
    });
  }

  /** Replaces an entry, whoever wrote it; `value` decides from what is there. */
  async #change(key: string, value: (before: unknown) => object): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      const before = await this.#kv.get(key);
      const found = before?.operation === 'PUT' ? before.json<unknown>() : undefined;
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
    const value: Omit<GuestEntry, 'channel'> = {
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
      const all = [...this.#own.values()];
      for (let done = 0; done < all.length; done += atOnce)
        await Promise.all(all.slice(done, done + atOnce).map((own) => this.#renewSoon(own)));
    } finally {
      this.#renewing = false;
    }
  }

  #renewSoon(own: Own): Promise<void> {
    own.work = own.work.then(() => this.#renew(own)).catch(() => undefined);
    return own.work;
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
        const entry = found?.operation === 'PUT' ? found.json<GuestEntry>() : undefined;
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
