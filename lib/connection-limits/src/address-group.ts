import { isIPv6 } from 'node:net';

/**
 * Returns the group of a remote address: connections of one group count as those of one client, which must not keep
 * others out. The owner of an IPv6 address mostly has its /64.
 */
export function addressGroup(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv6(plain) ? firstGroups(plain) : plain;
}

/** The first four groups of an IPv6 address, which may be abbreviated by `::`. */
function firstGroups(address: string): string {
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const leading = head === '' ? [] : head.split(':');
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - leading.length - trailing.length)).fill('0');
  return `${[...leading, ...zeros, ...trailing].slice(0, 4).join(':')}::/64`;
}
