import { isIP } from 'node:net';
import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { familyOption, ip, ipBatch } from './ip.js';
import { refuseLoopbackLink } from './loopback.js';
import type { InterfaceAddress } from './network-values.js';

/** A link of the guest, as the kernel reports it. */
export interface Link {
  /** The interface index, which a rename does not change. */
  readonly index: number;
  readonly name: string;
  readonly hwAddr: string;
  readonly mtu: number;
  readonly up: boolean;
  /** IFF_LOOPBACK. */
  readonly loopback: boolean;
  /** IFF_NOARP. */
  readonly noArp: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

/** The fields of `ip -json address show` that are used (iproute2, ip/ipaddress.c). */
interface ShownLink {
  readonly ifindex?: number;
  readonly ifname?: string;
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** Returns all links of the guest, in the kernel's order. */
export async function links(tools: Tools): Promise<readonly Link[]> {
  const shown = JSON.parse(
    (await ip(tools, ['-json', 'address', 'show'])).toString(),
  ) as readonly ShownLink[];
  return shown.flatMap(({ ifindex, ifname, address = '', mtu = 0, flags = [], addr_info: addresses = [] }) =>
    ifindex === undefined || ifname === undefined
      ? []
      : [
          {
            index: ifindex,
            name: ifname,
            hwAddr: address.toLowerCase(),
            mtu,
            up: flags.includes('UP'),
            loopback: flags.includes('LOOPBACK'),
            noArp: flags.includes('NOARP'),
            addresses: addresses.flatMap(({ local, prefixlen }) =>
              local === undefined || prefixlen === undefined ? [] : [{ address: local, prefix: prefixlen }],
            ),
          },
        ],
  );
}

/**
 * Checks links that a change names: throws `not-found` if one does not exist, and `refused` if it is the loopback
 * interface.
 */
export async function checkChangeable(tools: Tools, names: ReadonlySet<string>): Promise<void> {
  if (names.size === 0) return;
  const present = await links(tools);
  for (const name of names) {
    const link = present.find((each) => each.name === name);
    if (link === undefined) throw linkNotFound(`Name: ${name}`);
    refuseLoopbackLink(link);
  }
}

/**
 * Kata's Go runtime tries UpdateInterface again when an error has the words `Link not found` (docs/records/kata-facts.md, "What
 * clients look for in errors").
 */
export function linkNotFound(how: string): GuestError {
  return new GuestError('not-found', `Link not found (${how})`);
}

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
