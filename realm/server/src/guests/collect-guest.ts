import type { Channel } from '@kata-agent/ttrpc';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../log/realm-log.js';
import { collect, type CollectOptions } from '../store/collect.js';
import type { GuestLogs } from '../store/guest-logs.js';
import type { DescribedGuest } from '../store/log-storage.js';
import type { Store } from '../store/store.js';
import type { LiveGuests } from './live-guests.js';

export interface CollectGuestOptions {
  readonly store: Pick<Store, 'space'>;
  readonly guests: Pick<LiveGuests, 'touch'>;
  readonly metrics: Metrics;
  readonly log: RealmLog;
  readonly collect: Omit<CollectOptions, 'onFailure'>;
}

/** Collects the log of a connected guest until `signal` aborts, and closes its files. Never rejects. */
export async function collectGuest(
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
