import type { Guest } from '../guest.js';
import type { Family } from '../network/network-values.js';
import { readPacketFilter } from '../network/packet-filter.js';
import { translated } from '../translate-error.js';

export function getPacketFilter({ context }: Guest, family: Family): Promise<Uint8Array> {
  return translated(() => readPacketFilter(family, context.tools));
}
