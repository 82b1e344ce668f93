import { alwaysMasked, alwaysReadOnly } from '@kata-agent/gate';

/** What containers see nothing of in /proc and /sys, in every version of containerd. */
export const maskedPaths: readonly string[] = alwaysMasked;

/** What later versions hide besides, or hide instead of making it read-only. */
export const optionalMaskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/interrupts',
  '/proc/mtrr',
  '/sys/dev',
  '/sys/dev/block',
  '/sys/fs/selinux',
  '/sys/devices/virtual/powercap',
];

/** What they may at most read; versions differ in whether the first is masked. */
export const readOnlyPaths: readonly string[] = alwaysReadOnly;
