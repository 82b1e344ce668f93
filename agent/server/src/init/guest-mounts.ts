import { kataDirectory } from '@kata-agent/catalogue';
import { mkdirSync, statSync } from 'node:fs';
import { hasCode, mount, type Syscalls } from '@kata-agent/linux';

/** A file system that a guest needs before anything else runs. */
export interface GuestMount {
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
  /** Whether a kernel without it is accepted: its users report an error when they need it. */
  readonly optional?: boolean;
}

const plain = ['nosuid', 'nodev', 'noexec'];

/** In mount order: later mount points are below earlier ones. */
export const guestMounts: readonly GuestMount[] = [
  { target: '/proc', type: 'proc', options: plain },
  { target: '/sys', type: 'sysfs', options: plain },
  { target: '/dev', type: 'devtmpfs', options: ['nosuid', 'mode=755'] },
  { target: '/dev/pts', type: 'devpts', options: ['nosuid', 'noexec', 'gid=5', 'mode=620', 'ptmxmode=666'] },
  { target: '/dev/shm', type: 'tmpfs', options: [...plain, 'mode=1777'] },
  { target: '/run', type: 'tmpfs', options: [...plain, 'mode=755'] },
  // Containers execute programs from here: root file systems, scripts in volumes.
  { target: kataDirectory, type: 'tmpfs', options: ['nosuid', 'nodev', 'mode=755'] },
  { target: '/tmp', type: 'tmpfs', options: [...plain, 'mode=1777'] },
  // nsdelegate: a container cannot change the limits of its own cgroup, nor move processes out of its cgroup namespace.
  { target: '/sys/fs/cgroup', type: 'cgroup2', options: [...plain, 'relatime', 'nsdelegate'] },
  // Reports of TDX and SNP are requested here (tsm).
  { target: '/sys/kernel/config', type: 'configfs', options: plain, optional: true },
  // The event log of a TPM is here.
  { target: '/sys/kernel/security', type: 'securityfs', options: plain, optional: true },
];

/** Mounts everything that is not mounted yet: an earlier init or a container runtime may have done so. */
export function mountGuest(syscalls: Syscalls, isMounted: (target: string) => boolean = isMountPoint): void {
  for (const { target, type, options, optional } of guestMounts) {
    try {
      if (isMounted(target)) continue;
      mount(syscalls, { source: type, target, type, options });
    } catch (error) {
      if (optional === true && hasCode(error, 'ENODEV', 'ENOENT', 'EPERM')) continue;
      throw error;
    }
  }
}

/**
 * Reports whether a mount point is mounted, without /proc: its device number differs from the parent's. Creates the
 * directory if needed.
 */
function isMountPoint(target: string): boolean {
  if (statSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, { recursive: true });
  return statSync(target).dev !== statSync(`${target}/..`).dev;
}
