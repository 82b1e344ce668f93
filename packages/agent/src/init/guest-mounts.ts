import { mkdirSync, statSync } from 'node:fs';
import { hasCode, mount, type Syscalls } from '@kata-agent/linux';

/** One file system that a guest needs before anything else runs in it. */
export interface GuestMount {
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
  /** A kernel without it is no reason to stop: what needs it says so when it is asked for. */
  readonly optional?: boolean;
}

const plain = ['nosuid', 'nodev', 'noexec'];

/** In this order: later ones lie in earlier ones. */
export const guestMounts: readonly GuestMount[] = [
  { target: '/proc', type: 'proc', options: plain },
  { target: '/sys', type: 'sysfs', options: plain },
  { target: '/dev', type: 'devtmpfs', options: ['nosuid', 'mode=755'] },
  { target: '/dev/pts', type: 'devpts', options: ['nosuid', 'noexec', 'gid=5', 'mode=620', 'ptmxmode=666'] },
  { target: '/dev/shm', type: 'tmpfs', options: [...plain, 'mode=1777'] },
  { target: '/run', type: 'tmpfs', options: [...plain, 'mode=755'] },
  // Containers run programs from here: root file systems, scripts of volumes.
  { target: '/run/kata-containers', type: 'tmpfs', options: ['nosuid', 'nodev', 'mode=755'] },
  { target: '/tmp', type: 'tmpfs', options: [...plain, 'mode=1777'] },
  { target: '/sys/fs/cgroup', type: 'cgroup2', options: plain },
  // Reports of TDX and SNP are asked for here (tsm).
  { target: '/sys/kernel/config', type: 'configfs', options: plain, optional: true },
  // The event log of a TPM is here.
  { target: '/sys/kernel/security', type: 'securityfs', options: plain, optional: true },
];

/** Mounts what is not mounted yet: an init before us, or a container's runtime, may have done it. */
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

/** Told without /proc: what is mounted has another device number than the root. Makes the folder if need be. */
function isMountPoint(target: string): boolean {
  if (statSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, { recursive: true });
  return statSync(target).dev !== statSync(`${target}/..`).dev;
}
