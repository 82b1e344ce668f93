import { onDoublingsOfEach } from '@kata-agent/base';
import type { DecisionLog } from '../operators/decision-log.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../log/realm-log.js';
import type { GuestLogs } from '../store/guest-logs.js';

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
