import type { Guest } from '../guest.js';
import { openRegistry } from '../metrics/registry.js';
import { translated } from '../guest-error.js';

/** Returns the guest's metrics in Prometheus' text format. */
export function getMetrics({ context }: Guest): Promise<string> {
  return translated(() => context.metrics.scrape(() => openRegistry(context.paths.proc, context.media)));
}

/** Returns a container's termination message; empty: there is none. */
export function terminationMessage(guest: Guest, containerId: string): Promise<string> {
  return translated(async () => {
    const { id, terminationLog } = guest.container(containerId);
    const { media, paths } = guest.context;
    return media.run('readTerminationMessage', { id, terminationLog, kata: paths.kata });
  });
}
