import { readFileSync, writeFileSync } from 'node:fs';
import type { Complaint } from './run-tool.js';

/** IFF_UP (include/uapi/linux/if.h). */
const up = 1;

/**
 * Sets `lo` up: containers of a pod use it, and no runtime configures it. Writes the kernel's flags file, since
 * starting a program would take longer than the rest of the guest's setup.
 */
export function raiseLoopback(flags = '/sys/class/net/lo/flags'): Complaint {
  try {
    writeFileSync(flags, `0x${(Number(readFileSync(flags, 'utf8')) | up).toString(16)}\n`);
    return undefined;
  } catch (error) {
    return `the loopback interface is down: ${(error as Error).message}`;
  }
}
