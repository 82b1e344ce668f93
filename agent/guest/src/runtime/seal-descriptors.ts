import { readdirSync, readFileSync } from 'node:fs';
import { hasCode, Open, type Syscalls } from '@kata-agent/linux';

/**
 * Sets close-on-exec on every descriptor above stderr. The agent opens its own so; but one inherited from its parent
 * would reach the runtime, and possibly a container (S12, CVE-2024-21626).
 */
export function sealDescriptors(syscalls: Syscalls): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 2 || !isInheritable(fd)) continue;
    // dup3 onto the same number sets the flag atomically: the number is never free.
    const copy = syscalls.duplicate(fd);
    try {
      syscalls.dup3(copy, fd, Open.CloseOnExec);
    } finally {
      syscalls.close(copy);
    }
  }
}

/** `flags:` in fdinfo is octal and includes O_CLOEXEC (proc_pid_fdinfo(5)). */
export function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & Open.CloseOnExec) === 0;
  } catch (error) {
    // The descriptor that the list was read from is closed by now.
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
