/**
 * What containers see nothing of in /proc and /sys, in every version of containerd.
 *
 * Source: containerd `pkg/oci/spec.go`; genpolicy of Kata Containers 4.1.0.
 */
export const maskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
];

/** What they may at most read; versions differ in whether the first is masked. */
export const readOnlyPaths: readonly string[] = [
  '/proc/asound',
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
