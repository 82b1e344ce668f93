import { writeSync } from 'node:fs';
import { Reboot, SyscallError, type Syscalls } from '@kata-agent/linux';

const stderr = 2;

/**
 * Prints a last message on the console, drains it, syncs the disks, and powers the machine off. Returns only if the
 * kernel refuses.
 */
export function powerOff(syscalls: Syscalls, message: string): void {
  print(syscalls, `kata-agent: ${message}; the machine is powered off\n`);
  syscalls.sync();
  syscalls.reboot(Reboot.PowerOff);
}

/** An unwritable console, or one that is not a terminal, does not delay the power-off. */
function print(syscalls: Syscalls, text: string): void {
  try {
    writeSync(stderr, text);
    syscalls.drain(stderr);
  } catch (error) {
    if (!(error instanceof SyscallError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
