import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';

/** Tells the kernel of memory at these physical addresses, on machines that do not tell it themselves. `sys`: `/sys`. */
export function probeMemory(addresses: readonly bigint[], sys: string): void {
  const probe = join(sys, 'devices/system/memory/probe');
  if (!existsSync(probe)) {
    throw new GuestError(
      'precondition',
      `this kernel has no ${probe} (CONFIG_ARCH_MEMORY_PROBE): memory cannot be added by address`,
    );
  }
  for (const address of addresses) writeFileSync(probe, `0x${address.toString(16)}`);
}
