import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Counter, Gauge } from 'prom-client';
import { type MetricName, metricTable } from './metric-table.js';

type Labels = Readonly<Record<string, string>>;

/** The metrics of a realm. */
export interface Metrics {
  /** Adds to a counter, or to a gauge. */
  add(name: MetricName, value?: number, labels?: Labels): void;
  set(name: MetricName, value: number, labels?: Labels): void;
  /** Raises a counter to a total that is counted elsewhere. */
  raise(name: MetricName, total: number, labels?: Labels): void;
  /** Returns all of them in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
  close(): void;
}

const nanoseconds = 1e9;

/** Creates the metrics. Loads the library: no other command does. */
export async function createMetrics(): Promise<Metrics> {
  const { Counter, Gauge, Registry } = (await import('prom-client')).default;
  const registry = new Registry();
  const metrics = new Map<string, Counter | Gauge>();
  for (const [name, { type, labels, help }] of Object.entries(metricTable)) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    metrics.set(name, type === 'counter' ? new Counter(options) : new Gauge(options));
  }
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const set = (name: MetricName, value: number, labels: Labels = {}): void => {
    const metric = metrics.get(name);
    if (metric === undefined || !('set' in metric)) throw new TypeError(`${name} is no gauge`);
    metric.set(labels, value);
  };
  const totals = new Map<string, number>();
  return {
    raise(name, total, labels = {}) {
      const key = `${name} ${JSON.stringify(labels)}`;
      metrics.get(name)?.inc(labels, Math.max(0, total - (totals.get(key) ?? 0)));
      totals.set(key, total);
    },
    add: (name, value = 1, labels = {}) => metrics.get(name)?.inc(labels, value),
    set,
    contentType: registry.contentType,
    async text() {
      const lag = (nanos: number): number => (Number.isFinite(nanos) ? nanos / nanoseconds : 0);
      set('kata_realm_event_loop_lag_seconds', lag(delay.percentile(50)), { quantile: '0.5' });
      set('kata_realm_event_loop_lag_seconds', lag(delay.percentile(99)), { quantile: '0.99' });
      set('kata_realm_event_loop_lag_seconds', lag(delay.max), { quantile: '1' });
      delay.reset();
      set('kata_realm_resident_memory_bytes', process.memoryUsage.rss());
      return await registry.metrics();
    },
    close: () => delay.disable(),
  };
}
