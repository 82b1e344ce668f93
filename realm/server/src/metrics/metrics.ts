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

const resolutionMs = 10;
const windowMs = 10_000;

/** Measures the delay of the event loop in windows: so that it does not matter who asks, and how often. */
function watchLag(): { last: () => Readonly<Record<string, number>>; stop: () => void } {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  // A sample is the time between two ticks of a timer. Without a sample the numbers have no meaning.
  const seconds = (nanos: number): number =>
    delay.max === 0 ? 0 : Math.max(0, nanos / 1e9 - resolutionMs / 1_000);
  const now = (): Readonly<Record<string, number>> => ({
    '0.5': seconds(delay.percentile(50)),
    '0.99': seconds(delay.percentile(99)),
    '1': seconds(delay.max),
  });
  let last: Readonly<Record<string, number>> | undefined;
  const timer = setInterval(() => {
    last = now();
    delay.reset();
  }, windowMs).unref();
  return {
    last: () => last ?? now(),
    stop: () => {
      clearInterval(timer);
      delay.disable();
    },
  };
}

/** Creates the metrics. Loads the library: no other command does. */
export async function createMetrics(): Promise<Metrics> {
  const { Counter, Gauge, Registry } = (await import('prom-client')).default;
  const registry = new Registry();
  const metrics = new Map<string, Counter | Gauge>();
  for (const [name, { type, labels, help }] of Object.entries(metricTable)) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    metrics.set(name, type === 'counter' ? new Counter(options) : new Gauge(options));
  }
  const lag = watchLag();
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
      for (const [quantile, seconds] of Object.entries(lag.last()))
        set('kata_realm_event_loop_lag_seconds', seconds, { quantile });
      set('kata_realm_resident_memory_bytes', process.memoryUsage.rss());
      return await registry.metrics();
    },
    close: lag.stop,
  };
}
