import { agentMetrics } from './agent-metrics.js';
import { guestMetrics } from './guest-metrics.js';
import type { Metric } from './metric.js';

/** Answers scrapes in Prometheus' text format. */
export class Metrics {
  readonly #proc: string;
  #registry: Promise<{ readonly metrics: () => Promise<string> }> | undefined;

  constructor(proc: string) {
    this.#proc = proc;
  }

  /** The figures of now. The library is loaded when the first scrape comes: most guests never see one. */
  async scrape(): Promise<string> {
    this.#registry ??= registry(this.#proc);
    return (await this.#registry).metrics();
  }
}

async function registry(proc: string): Promise<{ readonly metrics: () => Promise<string> }> {
  // By its default alone: the library is CommonJS, and in a bundle it has no other export.
  const { Counter, Gauge, Registry } = (await import('prom-client')).default;
  const register = new Registry();
  const registers = [register];
  const scrapes = new Counter({
    name: 'kata_agent_scrape_count',
    help: 'How often the figures were asked for.',
    registers,
  });
  for (const metric of [...agentMetrics, ...guestMetrics]) addGauge(metric);
  return {
    metrics: () => {
      scrapes.inc();
      return register.metrics();
    },
  };

  function addGauge({ name, help, labels, read }: Metric): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers,
      collect: () => {
        // What is gone since the last scrape, a disk or a mount, must not be told for ever.
        gauge.reset();
        for (const sample of read(proc)) gauge.set({ ...sample.labels }, sample.value);
      },
    });
  }
}
