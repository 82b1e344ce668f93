import { lookup as lookupAll } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Addresses that are not of another machine, or only of a cloud's metadata service, which gives credentials to each client on the
 * guest: loopback, unspecified, link-local with 169.254.169.254, the metadata services outside of it (AWS over IPv6, Alibaba, Azure,
 * Oracle), and NAT64's form of the first two.
 */
const addresses = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
] as const)
  addresses.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['64:ff9b::7f00:0', 104],
  ['64:ff9b::a9fe:0', 112],
] as const)
  addresses.addSubnet(network, prefix, 'ipv6');

/** Reports whether an address is one that a registry must not lead a pull to. IPv4 addresses in IPv6 form are such as well. */
export function isLocalAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  return addresses.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** The code of the error for a name that has a local address. */
export const localAddressCode = 'KATA_LOCAL_ADDRESS';

/** Looks up a name as `dns.lookup`, and fails if one of its addresses is local: the addresses that are checked are those that are used. */
export const lookupElsewhere: LookupFunction = (hostname, options, callback) => {
  lookupAll(hostname, { ...options, all: true }, (error, found) => {
    const [first] = found ?? [];
    if (error !== null || first === undefined) {
      callback(error, '', 0);
      return;
    }
    const local = found.find(({ address }) => isLocalAddress(address));
    if (local !== undefined) {
      const refusal = Object.assign(new Error(`${hostname} is ${local.address}`), { code: localAddressCode });
      callback(refusal, '', 0);
      return;
    }
    if (options.all === true) callback(null, [...found]);
    else callback(null, first.address, first.family);
  });
};
