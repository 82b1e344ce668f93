import { type Channel, connect } from '@kata-agent/ttrpc';
import type { Authorization } from '../authorization/guest-acceptance.js';
import { type Bus, type Lease, NameTakenError } from '../bus/bus.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../realm-log.js';
import { collect, type CollectOptions } from '../store/collect.js';
import type { GuestLogs } from '../store/guest-logs.js';
import type { Revocation, RevokedPeer } from '../store/revocations.js';
import type { Store } from '../store/store.js';
import { AcceptanceRate } from './acceptance-rate.js';
import { briefText, guestText, RefusedGuests } from './refused-guests.js';
import { DuplicateGuestDetector, type GuestAlerts } from './guest-alerts.js';
import { GuestRevocations, type RevocationFilter } from './guest-revocations.js';
import { type Identified, type IdentityDemand, identifyGuest, UnattestedError } from './identify-guest.js';
import type { Guest } from '../guest.js';
import type { DescribedGuest } from '../store/log-storage.js';
import type { ControlConnection } from './guests-server.js';
import type { Held, LiveGuests } from './live-guests.js';
import type { SilenceWatch } from './silence-watch.js';
import { type HealthTimes, isResponsive, watchHealth } from './guest-health.js';

/** Limits of what a guest may send: see docs/realm.md. */
const limits = {
  // A record has less than 64 KiB; answers that the realm forwards as they are can be larger.
  streamBufferBytes: 256 * 1024,
};

export interface GuestConnectionsOptions {
  /** Returns the authorization that counts now. */
  readonly authorization: () => Authorization;
  /** Returns what counts now. */
  readonly demand: () => IdentityDemand;
  readonly bus: Bus;
  readonly guests: LiveGuests;
  readonly store: Store;
  readonly filter: Pick<RevocationFilter, 'allows'>;
  readonly decisions: DecisionLog;
  readonly alerts: GuestAlerts;
  readonly silence: Pick<SilenceWatch, 'connected' | 'left'>;
  readonly metrics: Metrics;
  readonly log: RealmLog;
  readonly health: HealthTimes;
  readonly collect: Omit<CollectOptions, 'onFailure'>;
  /** A guest has this name from now on; undefined: it is no longer accepted under the one that it had. */
  readonly onNamed: (guest: { readonly id: string; readonly name: string | undefined }) => void;
  /** Limit of a call before the guest is shown. */
  readonly callMs: number;
}

/** How long an earlier connection of a guest has to show that there are two of them. */
const cloneMs = 1_000;

/** Why a connection of a guest has ended, in metrics. */
type Ended = 'closed' | 'replaced' | 'moved' | 'health' | 'reload' | 'drain';

interface Live extends Held, Identified {
  readonly channel: Channel;
  readonly max: number;
  readonly connectedAt: number;
  ended?: Ended;
  why?: string;
}

/** Accepts guests, and keeps them until their connections end. */
export class GuestConnections {
  readonly #options: GuestConnectionsOptions;
  readonly #live = new Set<Live>();
  /** The work for each guest whose files are in use: a new connection waits until the one before has left them. */
  readonly #files = new Map<string, Promise<void>>();
  readonly #refused: RefusedGuests;
  readonly #revocations: GuestRevocations<Live>;
  readonly #pace = new AcceptanceRate();
  readonly #duplicates: DuplicateGuestDetector;
  #closed = false;

  constructor(options: GuestConnectionsOptions) {
    this.#options = options;
    const { guests, alerts } = options;
    const channelOf = (id: string): Channel | undefined =>
      [...this.#live].find((live) => live.id === id)?.channel;
    this.#refused = new RefusedGuests(options);
    this.#revocations = new GuestRevocations({
      connected: () => this.#live,
      end: (live, why) => this.#end(live, 'reload', why),
      revocations: options.store.revocations,
      filter: options.filter,
      log: options.log,
      callMs: options.callMs,
    });
    this.#duplicates = new DuplicateGuestDetector({ guests, alerts, channelOf, answerMs: cloneMs });
  }

  /** Takes a connection that was upgraded. Never rejects. */
  async serve(connection: ControlConnection): Promise<void> {
    const channel = connect(connection.socket, { limits });
    try {
      await this.#serve(connection, channel);
    } catch (error) {
      const reason = error instanceof UnattestedError ? 'evidence' : 'failure';
      this.#refuse(connection, (error as Error).message, reason);
    } finally {
      channel.close();
    }
  }

  /** Ends the connections of guests that the authorization no longer accepts under their name. Returns their number. */
  recheck(): number {
    const { authorization, demand, log, onNamed } = this.#options;
    const { evidence } = demand();
    const accepted: Live[] = [];
    let ended = 0;
    for (const live of [...this.#live].sort((a, b) => a.connectedAt - b.connectedAt)) {
      if (live.attested && live.by !== evidence?.sha256) {
        ended += 1;
        log('info', 'a guest is asked for evidence again', { guest: live.name, id: live.id });
        this.#end(live, 'reload', 'the reference values have changed: it is asked for evidence again');
        continue;
      }
      const { id, attested, described } = live;
      const facts = { id, attested, configurationDigest: described?.configurationDigest };
      const acceptance = authorization().accept(facts, accepted);
      if (acceptance.ok && acceptance.name === live.name && acceptance.entry === live.entry)
        accepted.push(live);
      else {
        ended += 1;
        log('warn', 'a guest is no longer accepted', { guest: live.name, id: live.id });
        onNamed({ id: live.id, name: undefined });
        this.#end(live, 'reload', 'the authorization file no longer accepts it under this name');
      }
    }
    return ended;
  }

  /** As `GuestRevocations.revoke`. Throws an Error if the guest is not connected. */
  async revoke(id: string, revoked: RevokedPeer, operator: string): Promise<number> {
    const target = [...this.#live].find((live) => live.id === id);
    if (target === undefined) throw new Error('the guest is not connected');
    return await this.#revocations.revoke(target, revoked, operator);
  }

  /** Broadcasts a revocation to the guests of its entry. */
  say(revocation: Revocation): void {
    this.#revocations.say(revocation);
  }

  /** Ends all connections. Resolves when their records are written. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const live of this.#live) this.#end(live, 'drain', 'the realm ends');
    while (this.#files.size > 0) await Promise.all(this.#files.values());
  }

  async #serve(connection: ControlConnection, channel: Channel): Promise<void> {
    const { authorization, demand, guests, decisions, callMs } = this.#options;
    const { id, relay } = connection;
    const identified = await identifyGuest(channel, connection, demand(), callMs);
    const { described, attested, how } = identified;
    const facts = { id, attested, configurationDigest: described?.configurationDigest };
    // From here to `hold` nothing is awaited: two guests cannot get one name.
    const acceptance = authorization().accept(facts, guests.held());
    if (this.#closed) return;
    const duplicate = this.#duplicates.find(facts, acceptance.ok ? acceptance.entry : undefined);
    if (!acceptance.ok) {
      const { reason, full } = acceptance;
      const isDuplicate = full !== undefined && duplicate !== undefined;
      if (isDuplicate) void this.#duplicates.report(id, duplicate);
      this.#refuse(
        connection,
        isDuplicate ? `${reason}: possibly a clone, it reports the same configuration` : reason,
        'authorization',
      );
      return;
    }
    const { name, entry, max, isPinned } = acceptance;
    // An operator that lists its key knows that there are two.
    if (duplicate !== undefined && isPinned === undefined) void this.#duplicates.report(id, duplicate);
    if (!this.#pace.allows(id, entry)) {
      this.#refuse(connection, 'it has connected too often', 'authorization');
      return;
    }
    const live: Live = {
      id,
      name,
      entry,
      max,
      channel,
      ...identified,
      connectedAt: Date.now(),
      end: (why) => void this.#replace(live, why),
    };
    guests.hold(live);
    this.#live.add(live);
    const begin = performance.now();
    try {
      const what = described === undefined ? 'undescribed' : described.configurationDigest;
      const reason = `accepted as "${name}"; ${how}; ${what}; relay = "${relay}"`;
      const ended = await decisions.connection('guests', guestText(id), reason);
      try {
        await this.#serveAccepted(live, connection);
      } finally {
        ended();
      }
    } finally {
      this.#live.delete(live);
      guests.release(live);
      this.#pace.left(id, performance.now() - begin);
    }
  }

  /** Ends a connection of a guest that has connected again. If the earlier connection still answers, two guests have one key. */
  async #replace(live: Live, why: string): Promise<void> {
    const { alerts, store } = this.#options;
    if (live.ended === undefined && (await isResponsive(live.channel, cloneMs)))
      await alerts.clone(live, store.logsOf(live.id)).catch(() => undefined);
    this.#end(live, 'replaced', why);
  }

  async #serveAccepted(live: Live, connection: ControlConnection): Promise<void> {
    const { store } = this.#options;
    const { id } = live;
    await this.#revocations.repeat(live);
    await this.#files.get(id);
    const logs = store.guest(id);
    logs.attestedKey = live.logKey;
    try {
      await this.#serveLogged(live, connection, logs);
    } finally {
      store.leave(id);
    }
  }

  async #serveLogged(
    live: Live,
    { id, relay, from, accepted }: ControlConnection,
    logs: GuestLogs,
  ): Promise<void> {
    const { bus, guests, metrics, log, health } = this.#options;
    const { channel, name, entry, described, attested, connectedAt } = live;
    const over = new AbortController();
    const guest: Guest = {
      id,
      name,
      relay,
      attested,
      described,
      connectedAt,
      channel,
    };
    let lease: Lease;
    try {
      lease = await bus.claim({
        id,
        name,
        entry,
        max: live.max,
        relay,
        attested,
        described,
        connectedAt,
        log: () => logs.log,
        onLost: (why) => this.#end(live, 'moved', why),
      });
    } catch (error) {
      if (!(error instanceof NameTakenError)) throw error;
      this.#refuse({ id, from }, error.message, 'authorization');
      return;
    }
    if (!guests.show(live, guest, lease)) {
      await lease.release();
      return;
    }
    accepted();
    this.#options.onNamed(live);
    await this.#noteBoot(live);
    this.#options.silence.connected(id);
    const fields = { guest: name, id, relay, from, configuration: described?.configurationDigest };
    log('info', 'guest accepted', { ...fields, attested });
    metrics.add('kata_realm_guests_accepted_total');
    metrics.add('kata_realm_guests', 1, { relay });
    const seen = new Date(connectedAt).toISOString();
    const guestFacts = { id, name, entry, from, connectedAt: seen, ...described };
    const files = collectGuest(guestFacts, channel, logs, this.#options, over.signal);
    this.#files.set(id, files);
    const stop = watchHealth(
      channel,
      health,
      () => logs.isWriting,
      (why) => this.#end(live, 'health', why),
    );
    await channel.closed;
    stop();
    over.abort();
    this.#options.silence.left(id);
    metrics.add('kata_realm_guests', -1, { relay });
    metrics.add('kata_realm_guests_ended_total', 1, { reason: live.ended ?? 'closed' });
    log('info', 'guest ended', { guest: name, id, why: live.why ?? 'the connection was closed' });
    guests.release(live);
    await Promise.all([files, lease.release()]);
    if (this.#files.get(id) === files) this.#files.delete(id);
  }

  /** A guest's key is made at boot, and one guest has a name: another key is another boot. */
  async #noteBoot({ id, name, max }: Live): Promise<void> {
    if (max !== 1) return;
    const before = await this.#options.store.find(name);
    if (before !== undefined && before.name === name && before.id !== id)
      this.#options.alerts.boot({ id, name }, before.id);
  }

  #end(live: Live, ended: Ended, why: string): void {
    live.ended ??= ended;
    live.why ??= briefText(why);
    live.channel.close();
  }

  #refuse(...refused: Parameters<RefusedGuests['add']>): void {
    // The realm ends, and so do all connections.
    if (!this.#closed) this.#refused.add(...refused);
  }
}

interface CollectGuestOptions {
  readonly store: Pick<Store, 'space'>;
  readonly guests: Pick<LiveGuests, 'touch'>;
  readonly metrics: Metrics;
  readonly log: RealmLog;
  readonly collect: Omit<CollectOptions, 'onFailure'>;
}

/** Collects the log of a connected guest until `signal` aborts, and closes its files. Never rejects. */
async function collectGuest(
  described: DescribedGuest,
  channel: Channel,
  logs: GuestLogs,
  { store, guests, metrics, log, collect: options }: CollectGuestOptions,
  signal: AbortSignal,
): Promise<void> {
  const { id, name } = described;
  const failed = (error: Error): void => {
    metrics.add('kata_realm_log_faults_total', 1, { kind: 'failed' });
    // A full store is logged once, and not for each guest.
    if (!store.space.isFull)
      log('error', 'the log of a guest cannot be stored', { guest: name, id, error: error.message });
  };
  try {
    await logs.describe(described).catch(failed);
    await collect(channel, logs, { ...options, onFailure: failed }, signal);
    guests.touch(id);
    if (logs.log.state === 'full') {
      metrics.add('kata_realm_log_faults_total', 1, { kind: 'full' });
      log('error', 'the log of a guest is no longer stored: it has reached --max-log-per-guest', {
        guest: name,
        id,
      });
    }
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  } catch (error) {
    failed(error as Error);
  } finally {
    await logs.close().catch(failed);
  }
}
