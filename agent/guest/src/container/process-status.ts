import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, parseMountTable, SIGKILL, SIGTERM } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciCapabilities } from '../request/oci-spec.js';
import { joinedMappings } from '../spec/namespaces.js';

/** Matches the status of the runtime's own process, just before it executes the container's program. */
const runtimeInit = /^Name:\s*runc:\[/m;

/** Capabilities by number, from 0 (include/uapi/linux/capability.h). */
const capabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** The kernel's highest capability. runc reads this file in the container, and drops no capability above it. */
const lastCapability = '/proc/sys/kernel/cap_last_cap';

/**
 * Checks that the container shows the kernel's real cap_last_cap to the OCI runtime. With a forged one the runtime
 * leaves the rest in the bounding set of an exec, and root gains them with the next execve.
 */
export function checkLastCapability(pid: number, proc: string, container: string): void {
  const text = readIfRunning(join(proc, String(pid), 'mountinfo'));
  if (text === undefined) return;
  const above = parseMountTable(text).filter(
    ({ target }) =>
      (target === '/proc' || target.startsWith('/proc/')) &&
      (target === lastCapability || lastCapability.startsWith(`${target}/`)),
  );
  const own = above.every(
    ({ type, root, target }) => type === 'proc' && root === (target.slice('/proc'.length) || '/'),
  );
  if (own && above.some(({ target }) => target === '/proc')) return;
  throw new GuestError(
    'refused',
    `container ${container}: ${lastCapability} is not the kernel's file in its mount namespace, so no exec is started in it`,
  );
}

/** Checks that a process has no capability that it was not given. Does not report a process that has ended. */
export function checkBoundingSet(
  pid: number,
  { bounding = [] }: OciCapabilities,
  proc: string,
  container: string,
): void {
  const text = readIfRunning(join(proc, String(pid), 'status')) ?? '';
  const [, digits = '0'] = /^CapBnd:\s*([0-9a-f]+)$/m.exec(text) ?? [];
  const given = bounding.reduce((bits, name) => bits | bitOf(name), 0n);
  if ((BigInt(`0x${digits}`) & ~given) === 0n) return;
  throw new GuestError(
    'refused',
    `container ${container}: the OCI runtime left capabilities to a process that it was not given`,
  );
}

/** An unknown capability grants nothing. */
function bitOf(name: string): bigint {
  const number = capabilities.indexOf(name);
  return number < 0 ? 0n : 1n << BigInt(number);
}

function readIfRunning(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // A process that has ended has no mounts.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
}

/**
 * Returns the signal to send to a process. SIGTERM to a container's first process that neither catches, blocks nor
 * ignores it becomes SIGKILL: the kernel discards it for PID 1 of a namespace, and deletion would take the whole grace
 * period (as in Kata's agent).
 */
export function effectiveSignal(signal: number, first: boolean, status: string | undefined): number {
  return first && signal === SIGTERM && !handles(status ?? '', SIGTERM) ? SIGKILL : signal;
}

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

/** Returns the mappings of a process's user namespace as `mappingsOfSpec` writes them. */
export function mappingsOfProcess(pid: number, proc: string): string {
  const lines = (file: string): readonly string[] =>
    readFileSync(join(proc, `${pid}/${file}`), 'utf8')
      .split('\n')
      .map((line) => line.trim().replaceAll(/\s+/g, ' '))
      .filter((line) => line !== '');
  return joinedMappings(lines('uid_map'), lines('gid_map'));
}
