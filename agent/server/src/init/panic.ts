import { readFileSync, writeFileSync } from 'node:fs';

const setting = '/proc/sys/kernel/panic';

/**
 * Sets a reboot one second after a panic, if the kernel command line does not: by default the kernel hangs forever. A
 * crash of Node itself (V8 out of memory, a fault in native code) ends PID 1 and is such a panic. Returns the error, or
 * undefined.
 */
export function endOnPanic(path: string = setting): string | undefined {
  try {
    if (readFileSync(path, 'utf8').trim() === '0') writeFileSync(path, '1\n');
    return undefined;
  } catch (error) {
    return `a crash of this program would hang the machine: ${(error as Error).message}`;
  }
}
