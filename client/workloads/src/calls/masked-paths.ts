import { alwaysMasked, alwaysReadOnly } from '@kata-agent/gate';

/** Paths in /proc and /sys that every version of containerd masks. */
export const maskedPaths: readonly string[] = alwaysMasked;

/** Paths that later versions mask in addition, or instead of making them read-only. */
export const optionalMaskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/interrupts',
  '/proc/mtrr',
  '/sys/dev',
  '/sys/dev/block',
  '/sys/fs/selinux',
  '/sys/devices/virtual/powercap',
];

/** Read-only paths; some versions mask the first one. */
export const readOnlyPaths: readonly string[] = alwaysReadOnly;
