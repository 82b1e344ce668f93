import type { Guest } from '../guest.js';
import type { Family } from '../network/network-values.js';
import { checkedFilter, replacePacketFilter } from '../network/packet-filter.js';

export function setPacketFilter(guest: Guest, family: Family, rules: Uint8Array): Promise<void> {
  const { tools, access } = guest.context;
  return guest.change(() => replacePacketFilter(family, checkedFilter(family, rules, access), tools));
}
