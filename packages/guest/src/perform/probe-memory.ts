import type { Guest } from '../guest.js';
import { probeMemory as probe } from '../resource/memory-probe.js';

export function probeMemory(guest: Guest, addresses: readonly bigint[]): Promise<void> {
  return guest.change(async () => probe(addresses, guest.context.paths.sys));
}
