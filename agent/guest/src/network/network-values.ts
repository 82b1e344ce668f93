import { isIP } from 'node:net';
import { GuestError } from '../guest-error.js';
import {
  holdsLoopback,
  isLoopbackAddress,
  isLoopbackNetwork,
  refusedLoopback,
  refuseLoopbackName,
} from './loopback.js';
import { quotedWord } from '../quoted.js';

/** An address of an interface. */
export interface InterfaceAddress {
  readonly address: string;
  /** Bits. */
  readonly prefix: number;
}

/** The requested or current state of an interface. */
export interface Interface {
  readonly name: string;
  /** Lower case, colons. */
  readonly hwAddr: string;
  /** 0: left as it is. */
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
  /** `01/02`: PCI path of a device to wait for; empty: it is present. */
  readonly devicePath: string;
  /** IFF_ flags; only IFF_NOARP is used. */
  readonly rawFlags: number;
}

export type Family = 'v4' | 'v6';

/** A route of the main table. */
export interface Route {
  readonly family: Family;
  /** `10.0.0.0/24`; empty: the default route. */
  readonly dest: string;
  /** Empty: directly on the link. */
  readonly gateway: string;
  readonly device: string;
  /** The preferred source address; empty: the kernel's choice. */
  readonly source: string;
  /** RT_SCOPE_: 0 global, 253 link. */
  readonly scope: number;
  /** RTNH_F_: only ONLINK (4) is used. */
  readonly flags: number;
  /** 0: that of the interface. */
  readonly mtu: number;
}

/** A static neighbour entry. */
export interface Neighbour {
  readonly address: string;
  readonly device: string;
  /** Empty: the entry has none. */
  readonly hwAddr: string;
  /** NUD_; 0: permanent. */
  readonly state: number;
  /** NTF_. */
  readonly flags: number;
}

/** Names that the kernel accepts (dev_valid_name), without characters that are unsafe in a path or an argument. */
const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

/** Ethernet, or InfiniBand's twenty bytes. */
const hwAddrPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}((:[0-9a-f]{2}){14})?$/i;

/** Linux, include/uapi/linux/ip.h: below this MTU the kernel removes IPv4, and all its addresses, from an interface. */
const minMtu = 68;

const maxMtu = 65_536;

/** The kernel keeps files of these names for all interfaces (net/core/dev.c, sysctl_dev_name_is_allowed). */
const sysctlNames: ReadonlySet<string> = new Set(['all', 'default']);

/** Maximum number of routes, neighbours or addresses in a request: setting them blocks other changes (S36). */
const maxCount = 1_024;

export function checkCount(what: string, count: number): void {
  if (count <= maxCount) return;
  throw new GuestError(
    'invalid',
    `${count} ${what} exceed the limit of ${maxCount} in a request; help: send them in several requests`,
  );
}

export function checkInterface(wanted: Interface): void {
  checkName('interface name', wanted.name);
  if (sysctlNames.has(wanted.name))
    throw new GuestError('invalid', `interface name ${wanted.name} is reserved by the kernel`);
  if (wanted.hwAddr !== '') checkHwAddr(wanted.hwAddr);
  if (/^[0:]+$/.test(wanted.hwAddr)) throw refusedLoopback(`hardware address ${wanted.hwAddr}`);
  if (wanted.hwAddr === '' && wanted.devicePath === '') {
    throw new GuestError(
      'invalid',
      `interface ${wanted.name} has neither hwAddr nor devicePath; help: send one of them`,
    );
  }
  checkMtu(wanted.mtu);
  if (wanted.addresses.length > maxCount) {
    throw new GuestError(
      'invalid',
      `${wanted.addresses.length} addresses of interface ${wanted.name} exceed the limit of ${maxCount}`,
    );
  }
  for (const { address, prefix } of wanted.addresses) {
    const bits = familyOf('address', address) === 'v4' ? 32 : 128;
    if (!Number.isInteger(prefix) || prefix < 0 || prefix > bits) {
      throw new GuestError('invalid', `mask ${prefix} of ${address} must be a prefix of 0 to ${bits} bits`);
    }
    if (holdsLoopback(address, prefix)) throw refusedLoopback(`address ${address}/${prefix}`);
  }
}

export function checkRoute(route: Route): void {
  checkName('device', route.device);
  checkMtu(route.mtu);
  if (route.dest !== '') checkNetwork('dest', route.dest, route.family);
  if (route.gateway !== '') {
    checkFamily('gateway', route.gateway, route.family);
    if (isLoopbackAddress(route.gateway)) throw refusedLoopback(`gateway ${route.gateway}`);
  }
  if (route.source !== '') checkNetwork('source', route.source, route.family);
  if (!Number.isInteger(route.scope) || route.scope < 0 || route.scope > 255) {
    throw new GuestError('invalid', `scope ${route.scope} of a route must be from 0 to 255`);
  }
}

export function checkNeighbour(neighbour: Neighbour): void {
  familyOf('toIPAddress', neighbour.address);
  if (isLoopbackAddress(neighbour.address)) throw refusedLoopback(`neighbour ${neighbour.address}`);
  checkName('device', neighbour.device);
  if (neighbour.hwAddr !== '') checkHwAddr(neighbour.hwAddr);
}

/** Returns the family of an address. Scoped addresses (`fe80::1%eth0`) are refused: the device has a field of its own. */
function familyOf(what: string, address: string): Family {
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0) throw new GuestError('invalid', `${what} ${quotedWord(address)} is not an IP address`);
  return version === 4 ? 'v4' : 'v6';
}

function checkFamily(what: string, address: string, family: Family): void {
  if (familyOf(what, address) !== family)
    throw new GuestError('invalid', `${what} ${address} is not of the route's family, IP${family}`);
}

/** Checks an address, with or without a prefix. */
function checkNetwork(what: string, text: string, family: Family): void {
  const [address = '', prefix, ...rest] = text.split('/');
  checkFamily(what, address, family);
  const bits = family === 'v4' ? 32 : 128;
  const wrong = prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  if (wrong || rest.length > 0)
    throw new GuestError('invalid', `${what} ${quotedWord(text)} must end in a prefix of 0 to ${bits} bits`);
  if (isLoopbackNetwork(address, prefix === undefined ? bits : Number(prefix)))
    throw refusedLoopback(`${what} ${text}`);
}

function checkName(what: string, name: string): void {
  if (!namePattern.test(name)) {
    throw new GuestError('invalid', `${what} ${quotedWord(name)} must have 1 to 15 of A-Z a-z 0-9 _ . -`);
  }
  refuseLoopbackName(what, name);
}

function checkHwAddr(address: string): void {
  if (!hwAddrPattern.test(address))
    throw new GuestError('invalid', `hardware address ${quotedWord(address)} must be like 02:00:5e:10:00:01`);
}

function checkMtu(mtu: number): void {
  if (!Number.isInteger(mtu) || (mtu !== 0 && mtu < minMtu) || mtu > maxMtu)
    throw new GuestError('invalid', `mtu ${mtu} must be 0 (unchanged), or from ${minMtu} to ${maxMtu}`);
}
