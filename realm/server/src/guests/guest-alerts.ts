import { onDoublingsOfEach } from '@kata-agent/base';
import type { Channel } from '@kata-agent/ttrpc';
import type { GuestFacts } from '../authorization/guest-acceptance.js';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../realm-log.js';
import type { GuestLogs } from '../store/guest-logs.js';
import type { LiveGuests } from './live-guests.js';
import { isResponsive } from './guest-health.js';

interface Named {
  readonly id: string;
  readonly name: string;
}

export interface GuestAlertsOptions {
  readonly decisions: Pick<DecisionLog, 'note'>;
  readonly metrics: Pick<Metrics, 'add'>;
  readonly log: RealmLog;
}

/** Says what can be a clone of a guest, or its end. */
export class GuestAlerts {
  readonly #options: GuestAlertsOptions;
  readonly #duplicate: (key: string, event: { readonly newcomer: string; readonly live: Named }) => void;

  constructor(options: GuestAlertsOptions) {
    this.#options = options;
    const { log } = options;
    // Who says the configuration of a live guest can come with a new key each time.
    this.#duplicate = onDoublingsOfEach((_key, times, { newcomer, live }) =>
      log('error', 'ALERT: another guest reports the configuration of a connected one: possibly a clone', {
        guest: live.name,
        id: live.id,
        other: newcomer,
        times,
      }),
    );
  }

  /**
   * A guest has connected again, and its earlier connection still answers: there are two guests with its key. An agent has one
   * connection, and dials when the one before has ended.
   */
  async clone({ id, name }: Named, logs: Pick<GuestLogs, 'report'> | undefined): Promise<void> {
    const { decisions, log } = this.#options;
    const what = 'its earlier connection still answers: two guests with its key are there at once';
    this.#count('clone');
    log('error', 'ALERT: a guest was cloned', { guest: name, id, what });
    decisions.note('guests', `guest ${id}`, '(clone)', what, 'FAILED_PRECONDITION');
    await logs?.report({ kind: 'clone', sequence: 0, what });
  }

  /** A guest with another key says the configuration of a connected one, where there may be one. */
  duplicate(newcomer: string, live: Named): void {
    this.#count('duplicate');
    this.#duplicate(live.name, { newcomer, live });
  }

  /** The guest of a name has another key than before: it has been started again, or is another one. */
  boot({ id, name }: Named, before: string): void {
    this.#count('boot');
    this.#options.log('warn', 'ALERT: a further boot of a guest', { guest: name, id, before });
  }

  /** No record has come for so long; undefined: records arrive again. */
  silence(id: string, silentMs: number | undefined, connectedAs: string | undefined): void {
    const { log } = this.#options;
    if (silentMs === undefined) {
      log('info', 'records of a guest come again', { guest: connectedAs, id });
      return;
    }
    const isConnected = connectedAs !== undefined;
    this.#count(isConnected ? 'silent' : 'away');
    const message = isConnected
      ? 'ALERT: a connected guest sends no audit records'
      : 'ALERT: a guest has disconnected, and sends no audit records';
    log(isConnected ? 'error' : 'warn', message, { guest: connectedAs, id, ms: silentMs });
  }

  #count(kind: 'clone' | 'duplicate' | 'boot' | 'silent' | 'away'): void {
    this.#options.metrics.add('kata_realm_guest_alerts_total', 1, { kind });
  }
}

/** A connected guest that says the configuration of another one. */
interface LiveDuplicate {
  readonly id: string;
  readonly name: string;
}

interface DetectorOptions {
  readonly guests: Pick<LiveGuests, 'held'>;
  readonly alerts: Pick<GuestAlerts, 'duplicate'>;
  /** Returns the connection of a guest; undefined: it is at another replica, or gone. */
  readonly channelOf: (id: string) => Channel | undefined;
  /** How long a guest has to show that it is still there. */
  readonly answerMs: number;
}

/** Finds guests that are possibly copies of one: they have the same configuration, and keys of their own. */
export class DuplicateGuestDetector {
  readonly #options: DetectorOptions;
  /** Guests that are asked whether they are there. */
  readonly #asked = new Set<string>();

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  /** Finds a connected guest with the same configuration and another key, of another entry than the given one. */
  find({ id, configurationDigest }: GuestFacts, entry: string | undefined): LiveDuplicate | undefined {
    if (configurationDigest === undefined) return undefined;
    return this.#options.guests
      .held()
      .find(
        (other) =>
          other.id !== id &&
          other.entry !== entry &&
          other.described?.configurationDigest === configurationDigest,
      );
  }

  /** Reports a duplicate that still answers: a guest that was started again comes before its earlier connection is found to be dead. */
  async report(newcomer: string, duplicate: LiveDuplicate): Promise<void> {
    if (this.#asked.has(duplicate.id)) return;
    this.#asked.add(duplicate.id);
    const { alerts, channelOf, answerMs } = this.#options;
    const channel = channelOf(duplicate.id);
    // One at another replica cannot be asked.
    if (channel === undefined || (await isResponsive(channel, answerMs)))
      alerts.duplicate(newcomer, duplicate);
    this.#asked.delete(duplicate.id);
  }
}
