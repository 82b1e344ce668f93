import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { ip } from './ip.js';
import { refuseLoopbackLink } from './loopback.js';
import type { InterfaceAddress } from './network-values.js';

/** A link of the guest as the kernel has it. */
export interface Link {
  /** The kernel's number for it, which it keeps under every name. */
  readonly index: number;
  readonly name: string;
  readonly hwAddr: string;
  readonly mtu: number;
  readonly up: boolean;
  /** The kernel's flag LOOPBACK. */
  readonly loopback: boolean;
  /** It does not ask for hardware addresses: the flag NOARP. */
  readonly noArp: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

/** What of `ip -json address show` is used (iproute2, ip/ipaddress.c). */
interface ShownLink {
  readonly ifindex?: number;
  readonly ifname?: string;
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** All links of the guest, in the kernel's order. */
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

/** Looks at links that a change names: throws `not-found` when one is not there, and `refused` when it is the loopback interface. */
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
 * Kata's Go runtime tries UpdateInterface again when an error has the words `Link not found` (docs/kata-facts.md, "What
 * clients look for in errors").
 */
export function linkNotFound(how: string): GuestError {
  return new GuestError('not-found', `Link not found (${how})`);
}
