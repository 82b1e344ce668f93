import { readdirSync, readFileSync } from 'node:fs';
import { hasCode, Open, type Syscalls } from '@kata-agent/linux';

/**
 * Makes every descriptor above stderr close-on-exec. Those that we open are so from the start; but one that the agent's
 * own parent left open would reach the runtime, and from there perhaps a container (S12, CVE-2024-21626).
 */
export function sealDescriptors(syscalls: Syscalls): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 2 || !isInheritable(fd)) continue;
    // The same open file takes its own place again, this time with the flag; its number never becomes free.
    const copy = syscalls.duplicate(fd);
    try {
      syscalls.dup3(copy, fd, Open.CloseOnExec);
    } finally {
      syscalls.close(copy);
    }
  }
}

/** `flags:` in fdinfo is octal and has O_CLOEXEC (proc_pid_fdinfo(5)). */
export function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & Open.CloseOnExec) === 0;
  } catch (error) {
    // The descriptor by which the list was read is closed by now.
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
