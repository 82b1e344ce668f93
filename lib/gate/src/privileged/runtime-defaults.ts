/**
 * The default capabilities of container engines: containerd's list, which includes CRI-O's.
 *
 * Source: containerd `pkg/oci/spec.go`; genpolicy's `default_caps` of Kata Containers 4.1.0.
 */
export const defaultCapabilities: ReadonlySet<string> = new Set(
  (
    'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL ' +
    'AUDIT_WRITE'
  )
    .split(' ')
    .map((name) => `CAP_${name}`),
);

/**
 * Paths masked by every version of containerd, CRI-O and the kubelet.
 *
 * Source: containerd `pkg/oci/spec.go`; CRI-O by runtime-tools `generate/config.go`; the kubelet's
 * `pkg/securitycontext/util.go`; genpolicy of Kata Containers 4.1.0.
 */
export const alwaysMasked: readonly string[] = [
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

/** Paths that are at least read-only. Newer versions mask the first. */
export const alwaysReadOnly: readonly string[] = [
  '/proc/asound',
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** Paths that some versions mask in addition. */
const sometimesMasked: ReadonlySet<string> = new Set([
  '/proc/interrupts',
  '/proc/mtrr',
  '/sys/dev',
  '/sys/dev/block',
  '/sys/devices/virtual/powercap',
  '/sys/fs/selinux',
]);

/** One per CPU: its throttling counter, a side channel. */
const thermal = /^\/sys\/devices\/system\/cpu\/cpu[0-9]{1,4}\/thermal_throttle$/;

/** Reports whether some runtime masks or write-protects the path. */
export function isRuntimesMask(path: string): boolean {
  return (
    alwaysMasked.includes(path) ||
    alwaysReadOnly.includes(path) ||
    sometimesMasked.has(path) ||
    thermal.test(path)
  );
}

/** Namespaces that both runtimes request for every container. */
export const alwaysNamespaces: readonly string[] = ['ipc', 'uts', 'mount'];

/** Character devices of every container, by path: `major:minor`. The same list as the guest's. */
export const defaultDevices: ReadonlyMap<string, string> = new Map([
  ['/dev/null', '1:3'],
  ['/dev/zero', '1:5'],
  ['/dev/full', '1:7'],
  ['/dev/random', '1:8'],
  ['/dev/urandom', '1:9'],
  ['/dev/tty', '5:0'],
  ['/dev/ptmx', '5:2'],
]);

/** Major number of the terminals below /dev/pts. */
export const ptsMajor = 136n;
