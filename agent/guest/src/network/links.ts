import type { HostMedia } from '../media/host-media.js';
import type { InterfaceAddress } from './network-values.js';

/** A link of the guest, as the kernel reports it. */
export interface Link {
  /** The interface index, which a rename does not change. */
  readonly index: number;
  readonly name: string;
  /** Lower case, colons. */
  readonly hwAddr: string;
  readonly mtu: number;
  readonly up: boolean;
  /** IFF_LOOPBACK. */
  readonly loopback: boolean;
  /** IFF_NOARP. */
  readonly noArp: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

/** Returns all links of the guest, in the kernel's order. */
export function links(media: HostMedia): Promise<readonly Link[]> {
  return media.run('readLinks', {});
}

/**
 * Addresses of the guest whose traffic stays in the guest, also when the host takes away the interface that has them: /etc/hosts of a
 * container has such an address for the pod's own name. Each has a route of the table `local` beside the kernel's own, which
 * goes with the interface; the metric tells them apart. It stays until the guest ends.
 */
export class LocalAddresses {
  readonly #media: HostMedia;
  /** Those that have their route: each container of a pod has the same ones in its file. */
  readonly #kept = new Set<string>();

  constructor(media: HostMedia) {
    this.#media = media;
  }

  async keep(addresses: readonly string[]): Promise<void> {
    const missing = addresses.filter((address) => !this.#kept.has(address));
    if (missing.length === 0) return;
    await this.#media.run('keepLocal', { addresses: missing });
    for (const address of missing) this.#kept.add(address);
  }
}
