import { readFileSync, writeFileSync } from 'node:fs';

const setting = '/proc/sys/kernel/panic';

/**
 * Lets a panic end the machine after a second, where the kernel's line does not say when: the kernel's own default is to
 * hang for ever. A crash of Node itself (V8 out of memory, a fault in native code) is such a panic, since it ends PID 1.
 * Answers what went wrong, or undefined.
 */
export function endOnPanic(path: string = setting): string | undefined {
  try {
    if (readFileSync(path, 'utf8').trim() === '0') writeFileSync(path, '1\n');
    return undefined;
  } catch (error) {
    return `a crash of this program would hang the machine: ${(error as Error).message}`;
  }
}
