import { isIPv6 } from 'node:net';

/**
 * Returns the group of a remote address: connections of one group count as those of one client. The owner of an IPv6
 * address mostly has its /64.
 */
export function addressGroup(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.replace(/%.*$/, '').split('::');
  const leading = head === '' ? [] : head.split(':');
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - leading.length - trailing.length);
  return `${[...leading, ...Array<string>(zeros).fill('0'), ...trailing].slice(0, 4).join(':')}::/64`;
}
