import { isIP } from 'node:net';
import type { Tools } from '../tool/tools.js';
import { ipBatch } from './ip.js';
import { familyOption } from './saved-routes.js';

/**
 * Keeps what is sent to addresses of the guest in the guest, also when the host takes away the interface that has them: /etc/hosts of a
 * container has such an address for the pod's own name. A route of the table `local` beside the kernel's own, which
 * goes with the interface; the metric tells them apart. It stays until the guest ends.
 */
export async function keepLocal(addresses: readonly string[], tools: Tools): Promise<void> {
  for (const [family, version] of [
    ['v4', 4],
    ['v6', 6],
  ] as const) {
    const own = addresses.filter((address) => isIP(address) === version);
    if (own.length === 0) continue;
    const route = (address: string): readonly string[] =>
      `route replace local ${address} dev lo table local metric 1`.split(' ');
    // As the guest's init does; a route needs an interface that is up.
    await ipBatch(tools, [familyOption[family]], ['link set dev lo up'.split(' '), ...own.map(route)]);
  }
}
