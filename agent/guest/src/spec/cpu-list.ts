import { GuestError } from '../error/guest-error.js';
import { quotedWord } from '../quoted.js';

/** The highest CPU number that a kernel can be built for (CONFIG_NR_CPUS is at most 8192). */
const maxCpu = 8191;

/** Parses a list in the kernel's format, `0-3,8` (cpuset(7), "List format"). The result is sorted. */
export function parseCpuList(text: string): readonly number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    if (part === '') continue;
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const first = Number(match?.[1] ?? Number.NaN);
    const last = Number(match?.[2] ?? first);
    if (!(first <= last && last <= maxCpu))
      throw new GuestError('invalid', `CPU list ${quotedWord(text)} is not a list such as 0-3,8`);
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** Returns the shortest list of these CPUs. */
export function formatCpuList(cpus: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && cpu <= run[1] + 1) run[1] = cpu;
    else runs.push([cpu, cpu]);
  }
  return runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
