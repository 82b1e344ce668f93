import { agentMetrics, guestMetrics, type Metric } from './guest-metrics.js';
import type { HostMedia } from '../media/host-media.js';
import type { FileSystem } from './file-systems.js';
import type { Registry } from './metrics.js';

/** Returns a registry of all metrics, in Prometheus' text format. Loads the library. */
export async function openRegistry(proc: string, media: HostMedia): Promise<Registry> {
  // Only the default export: the library is CommonJS, and in a bundle it has no other.
  const { Counter, Gauge, Registry: Library } = (await import('prom-client')).default;
  const register = new Library();
  const registers = [register];
  let fileSystems: readonly FileSystem[] = [];
  const scrapes = new Counter({
    name: 'kata_agent_scrape_count',
    help: 'Number of scrapes.',
    registers,
  });
  for (const metric of [...agentMetrics, ...guestMetrics]) addGauge(metric);
  return {
    metrics: async () => {
      fileSystems = await media.run('fileSystems', { proc });
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
        // Drops the samples of disks, mounts and interfaces that are gone since the last scrape.
        gauge.reset();
        for (const sample of read(proc, fileSystems)) gauge.set({ ...sample.labels }, sample.value);
      },
    });
  }
}
