import { join } from 'node:path';
import { readKernelFile } from '@kata-agent/linux';
import { count } from './cgroup-paths.js';
import type { NetworkStats } from './container-stats.js';

/** Returns the counters of the sandbox's interfaces without loopback, from `<proc>/net/dev` (proc_net(5)). */
export function networkStats(proc: string): readonly NetworkStats[] {
  return parseNetworkDevices(readKernelFile(join(proc, 'net/dev')));
}

/** Parses two lines of heading, then for each interface `name:`, 8 received and 8 sent counters. */
export function parseNetworkDevices(text: string): readonly NetworkStats[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*([^\s:]+):\s*(\d[\d\s]*)$/.exec(line);
    const [, name, numbers] = match ?? [];
    if (name === undefined || numbers === undefined || name === 'lo') return [];
    const at = numbers.trim().split(/\s+/).map(count);
    const number = (index: number): bigint => at[index] ?? 0n;
    return [
      {
        name,
        rxBytes: number(0),
        rxPackets: number(1),
        rxErrors: number(2),
        rxDropped: number(3),
        txBytes: number(8),
        txPackets: number(9),
        txErrors: number(10),
        txDropped: number(11),
      },
    ];
  });
}
