import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, parseMountTable } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciCapabilities } from '../oci-spec.js';

/** By their numbers, from 0 on (include/uapi/linux/capability.h). */
const capabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** The file that tells how many capabilities there are. runc reads it in the container, and drops no more than it says. */
const lastCapability = '/proc/sys/kernel/cap_last_cap';

/**
 * Checks that the container shows the kernel's own number of capabilities to the OCI runtime. With a forged one the runtime
 * leaves the rest in the bounding set of an exec, and root gains them with the next program.
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
    `container ${container}: ${lastCapability} is not the kernel's in it, so nothing is executed in it`,
  );
}

/** Checks that a process was left no capability that it was not given. That it has ended is not said here. */
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

/** A capability that is not known here gives nothing. */
function bitOf(name: string): bigint {
  const number = capabilities.indexOf(name);
  return number < 0 ? 0n : 1n << BigInt(number);
}

function readIfRunning(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // A process that has ended has no mounts any more.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
}
