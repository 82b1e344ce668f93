import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SIGKILL, SIGTERM, hasCode } from '@kata-agent/linux';

/**
 * Returns the signal to send to a process. SIGTERM to a container's first process that neither catches, blocks nor
 * ignores it becomes SIGKILL: the kernel discards it for PID 1 of a namespace, and deletion would take the whole grace
 * period (as in Kata's agent).
 */
export function effectiveSignal(signal: number, first: boolean, status: string | undefined): number {
  return first && signal === SIGTERM && !handles(status ?? '', SIGTERM) ? SIGKILL : signal;
}

/** Matches the status of the runtime's own process, just before it executes the container's program. */
const runtimeInit = /^Name:\s*runc:\[/m;

/** Reports whether a process handles a signal, from the masks in /proc/PID/status (proc_pid_status(5)): bit n-1 is signal n. */
function handles(status: string, signal: number): boolean {
  // Its handlers are the Go runtime's, and end with execve; a signal that they catch is lost to the container.
  if (runtimeInit.test(status)) return false;
  const bit = 1n << BigInt(signal - 1);
  return [...status.matchAll(/^Sig(?:Blk|Ign|Cgt):\s*([0-9a-f]+)$/gm)].some(
    ([, mask]) => (BigInt(`0x${mask}`) & bit) !== 0n,
  );
}

/** Undefined if the process has ended. */
export function readStatus(pid: number, proc: string): string | undefined {
  try {
    return readFileSync(join(proc, String(pid), 'status'), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
