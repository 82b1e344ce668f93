import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../error/guest-error.js';

/** Adds memory at these physical addresses, on machines whose firmware does not announce plugged memory. `sys`: `/sys`. */
export function probeMemory(addresses: readonly bigint[], sys: string): void {
  // As with Kata's agent: without addresses the kernel needs no support.
  if (addresses.length === 0) return;
  const probe = join(sys, 'devices/system/memory/probe');
  if (!existsSync(probe)) {
    throw new GuestError(
      'precondition',
      `memory cannot be added by address: this kernel has no ${probe}; help: use a kernel with CONFIG_ARCH_MEMORY_PROBE`,
    );
  }
  for (const address of addresses) writeFileSync(probe, `0x${address.toString(16)}`);
}
