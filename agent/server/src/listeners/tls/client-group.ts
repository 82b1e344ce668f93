import { addressGroup } from '@kata-agent/connection-limits';

const ofLoopback = addressGroup('::1');

/** Returns the group of a client's address. Containers choose their addresses freely on loopback: it is one group. */
export function clientGroup(address: string): string {
  const group = addressGroup(address);
  return group === ofLoopback || group.startsWith('127.') ? 'loopback' : group;
}
