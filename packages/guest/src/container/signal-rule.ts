import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';

const SIGTERM = 15;
const SIGKILL = 9;

/**
 * The signal that a process really gets. SIGTERM to a container's first process that neither catches, blocks nor
 * ignores it becomes SIGKILL: as PID 1 of its namespace it would not even notice, and deletion would take the whole
 * grace period (as in Kata's agent).
 */
export function effectiveSignal(signal: number, first: boolean, status: string | undefined): number {
  return first && signal === SIGTERM && !handles(status ?? '', SIGTERM) ? SIGKILL : signal;
}

/** The runtime's own process, moments before it becomes the container's. */
const runtimeInit = /^Name:\s*runc:\[/m;

/** Reads the masks of /proc/PID/status (proc_pid_status(5)): bit n-1 is signal n. */
function handles(status: string, signal: number): boolean {
  // Its handlers are Go's, and go with the exec; a signal that they catch now is lost to the container.
  if (runtimeInit.test(status)) return false;
  const bit = 1n << BigInt(signal - 1);
  return [...status.matchAll(/^Sig(?:Blk|Ign|Cgt):\s*([0-9a-f]+)$/gm)].some(
    ([, mask]) => (BigInt(`0x${mask}`) & bit) !== 0n,
  );
}

/** Undefined when the process is gone. */
export function readStatus(pid: number, proc: string): string | undefined {
  try {
    return readFileSync(join(proc, String(pid), 'status'), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
