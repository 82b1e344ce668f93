import { BlockList, isIP, SocketAddress } from 'node:net';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/**
 * S34: loopback belongs to the pod. No call of the host may divert what its processes send each other over 127.0.0.1
 * and ::1, so each network call is checked here, whatever the configuration says. Kata's runtimes never name the
 * loopback interface or its addresses.
 */
const loopbackNetworks = [
  { network: '127.0.0.0', prefix: 8, family: 'ipv4' },
  { network: '::1', prefix: 128, family: 'ipv6' },
  // IPv4-mapped, and the older IPv4-compatible form.
  { network: '::ffff:127.0.0.0', prefix: 104, family: 'ipv6' },
  { network: '::127.0.0.0', prefix: 104, family: 'ipv6' },
] as const;

const loopbackAddresses = new BlockList();
for (const { network, prefix, family } of loopbackNetworks)
  loopbackAddresses.addSubnet(network, prefix, family);
const firstAddresses = loopbackNetworks.map(
  ({ network, family }) => new SocketAddress({ address: network, family }),
);

/** A network that contains loopback and has at most this prefix counts as a default route. */
const widest = { ipv4: 7, ipv6: 8 } as const;

/** Reports whether a valid address is a loopback address. */
export function isLoopbackAddress(address: string): boolean {
  return loopbackAddresses.check(address, familyOf(address));
}

/**
 * Reports whether a network overlaps with loopback addresses. Wide ones do not count (`0.0.0.0/0`, `0.0.0.0/1`,
 * `64.0.0.0/2`): the kernel consults its table `local`, which has 127.0.0.0/8, before any table that a request can write.
 */
export function isLoopbackNetwork(address: string, prefix: number): boolean {
  const family = familyOf(address);
  return holdsLoopback(address, prefix) && prefix > widest[family];
}

/** Reports whether a network, however wide, and loopback have addresses in common. */
export function holdsLoopback(address: string, prefix: number): boolean {
  if (isLoopbackAddress(address)) return true;
  const own = new BlockList();
  own.addSubnet(address, prefix, familyOf(address));
  return firstAddresses.some((first) => own.check(first));
}

/** Reports whether a range of addresses of one family contains a loopback address, or ends before it begins. */
export function rangeHoldsLoopback(first: string, last: string): boolean {
  if (isLoopbackAddress(first) || isLoopbackAddress(last)) return true;
  const range = new BlockList();
  try {
    range.addRange(first, last, familyOf(first));
  } catch (error) {
    if (hasCode(error, 'ERR_INVALID_ARG_VALUE')) return true;
    throw error;
  }
  return firstAddresses.some((address) => range.check(address));
}

/** Refuses the kernel's name of the loopback interface. */
export function refuseLoopbackName(what: string, name: string): void {
  if (name === 'lo') throw refusedLoopback(`${what} lo`);
}

/** Refuses the loopback interface, recognized by IFF_LOOPBACK: it may have another name. */
export function refuseLoopbackLink(link: { readonly name: string; readonly loopback: boolean }): void {
  if (link.loopback) throw refusedLoopback(`interface ${link.name}`);
}

export function refusedLoopback(what: string): GuestError {
  return new GuestError('refused', `${what} is refused: loopback belongs to the pod`);
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
