import type { Bus } from '../bus/bus.js';
import type { OperatorCounts } from '../operators/operator-service.js';
import type { Store } from '../store/store.js';
import type { Metrics } from '../metrics/metrics.js';

/** Sets the metrics that are read on each scrape. */
export function measureRealm(
  metrics: Metrics,
  {
    counts: { operatorTls, trusted, readers, bytes },
    store: { decisions, space },
    bus,
  }: {
    readonly counts: OperatorCounts;
    readonly store: Pick<Store, 'decisions' | 'space'>;
    readonly bus: Pick<Bus, 'counts'>;
  },
): void {
  metrics.set('kata_realm_decisions_writable', decisions.writable ? 1 : 0);
  metrics.set('kata_realm_store_bytes', space.used);
  metrics.set('kata_realm_store_full', space.isFull ? 1 : 0);
  metrics.set('kata_realm_operator_uses', operatorTls, { kind: 'operator-tls' });
  metrics.set('kata_realm_operator_uses', trusted, { kind: 'trusted' });
  metrics.set('kata_realm_operator_uses', readers, { kind: 'audit' });
  metrics.raise('kata_realm_relayed_bytes_total', bytes.toGuest, { direction: 'to_guest' });
  metrics.raise('kata_realm_relayed_bytes_total', bytes.toOperator, { direction: 'to_operator' });
  const { counts } = bus;
  if (counts === undefined) return;
  metrics.set('kata_realm_bus_connected', counts.isConnected ? 1 : 0);
  metrics.raise('kata_realm_bus_reconnects_total', counts.reconnects);
  metrics.set('kata_realm_bus_pending_requests', counts.pending);
  metrics.set('kata_realm_bus_pipes', counts.pipes);
  metrics.raise('kata_realm_bus_malformed_total', counts.malformed);
}
