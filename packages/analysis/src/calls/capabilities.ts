/**
 * What container engines give to a container that asks for nothing. containerd's list; that of CRI-O is a part of it.
 *
 * Source: containerd `pkg/oci/spec.go`; genpolicy's `default_caps` of Kata Containers 4.1.0.
 */
export const defaultCapabilities: readonly string[] = words(
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL ' +
    'AUDIT_WRITE',
);

/** All that Linux has as of 5.9: what a privileged container gets. */
export const allCapabilities: readonly string[] = words(
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
    'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
    'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP ' +
    'MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
);

function words(text: string): readonly string[] {
  return text.split(' ').map((word) => `CAP_${word}`);
}
