import type { Guest } from '../guest.js';
import { Metrics } from '../metrics/metrics.js';
import { translated } from '../translate-error.js';

const scrapers: WeakMap<Guest, Metrics> = new WeakMap();

/** The figures of now, in Prometheus' text format. */
export function getMetrics(guest: Guest): Promise<string> {
  return translated(() => {
    const metrics = scrapers.get(guest) ?? new Metrics(guest.context.paths.proc);
    scrapers.set(guest, metrics);
    return metrics.scrape();
  });
}
