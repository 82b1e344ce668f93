import { readFileSync, writeFileSync } from 'node:fs';
import type { Complaint } from './run-tool.js';

/** IFF_UP (include/uapi/linux/if.h). */
const up = 1;

/**
 * Brings `lo` up: containers of a pod talk over it, and no runtime asks for it. By the kernel's file of its flags, since to
 * start a program takes longer than all else that is done for a guest here.
 */
export function raiseLoopback(flags = '/sys/class/net/lo/flags'): Complaint {
  try {
    writeFileSync(flags, `0x${(Number(readFileSync(flags, 'utf8')) | up).toString(16)}\n`);
    return undefined;
  } catch (error) {
    return `the loopback interface stays down: ${(error as Error).message}`;
  }
}
