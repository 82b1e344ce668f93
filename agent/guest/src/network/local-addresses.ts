import { isIP } from 'node:net';
import type { Tools } from '../tool/tools.js';
import { ipBatch } from './ip.js';
import { familyOption } from './saved-routes.js';

/**
 * Addresses of the guest whose traffic stays in the guest, also when the host takes away the interface that has them: /etc/hosts of a
 * container has such an address for the pod's own name. Each has a route of the table `local` beside the kernel's own, which
 * goes with the interface; the metric tells them apart. It stays until the guest ends.
 */
export class LocalAddresses {
  readonly #tools: Tools;
  /** Those that have their route: each container of a pod has the same ones in its file. */
  readonly #kept = new Set<string>();

  constructor(tools: Tools) {
    this.#tools = tools;
  }

  async keep(addresses: readonly string[]): Promise<void> {
    const missing = addresses.filter((address) => !this.#kept.has(address));
    for (const [family, version] of [
      ['v4', 4],
      ['v6', 6],
    ] as const) {
      const own = missing.filter((address) => isIP(address) === version);
      if (own.length === 0) continue;
      const route = (address: string): readonly string[] =>
        `route replace local ${address} dev lo table local metric 1`.split(' ');
      // As the guest's init does; a route needs an interface that is up.
      await ipBatch(
        this.#tools,
        [familyOption[family]],
        ['link set dev lo up'.split(' '), ...own.map(route)],
      );
      for (const address of own) this.#kept.add(address);
    }
  }
}
