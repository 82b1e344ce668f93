import type { Guest } from '../guest.js';
import type { Family } from '../network/network-values.js';
import { replacePacketFilter } from '../network/packet-filter.js';

export function setPacketFilter(guest: Guest, family: Family, rules: Uint8Array): Promise<void> {
  return guest.change(() => replacePacketFilter(family, rules, guest.context.tools));
}
