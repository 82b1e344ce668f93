import { writeSync } from 'node:fs';
import { Reboot, SyscallError, type Syscalls } from '@kata-agent/linux';

const stderr = 2;

/**
 * Says a last word on the console, waits until it is out, writes what is cached to the disks, and powers the machine off.
 * Does not return where the kernel lets us.
 */
export function powerOff(syscalls: Syscalls, lastWord: string): void {
  say(syscalls, `kata-agent: ${lastWord}; the machine is powered off\n`);
  syscalls.sync();
  syscalls.reboot(Reboot.PowerOff);
}

/** A console that cannot be written to, or is no terminal to wait for, is no reason to stay. */
function say(syscalls: Syscalls, text: string): void {
  try {
    writeSync(stderr, text);
    syscalls.drain(stderr);
  } catch (error) {
    if (!(error instanceof SyscallError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
