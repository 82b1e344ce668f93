import { readFileSync } from 'node:fs';

/** Returns the resident memory of a process. */
export function residentMegabytes(pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Returns the time that a process was on a processor, in seconds. */
export function processorSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  // In hundredths of a second, on every Linux of the benchmark.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
