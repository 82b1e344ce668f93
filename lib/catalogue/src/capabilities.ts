/**
 * The capabilities of Linux, as of kernel 5.9: the set of a privileged container.
 *
 * Source: capabilities(7); `include/uapi/linux/capability.h`.
 */
export const capabilities: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
  'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP ' +
  'MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/**
 * Capabilities with which a process leaves its container, with the way. A configuration gives them to no container unless it allows
 * privileged ones. The others have effect in the container, in its network or on the guest's clock and log.
 *
 * Source: capabilities(7), and the checks of the kernel that it names.
 */
export const guestCapabilities: ReadonlyMap<string, string> = new Map([
  ['CAP_SYS_ADMIN', 'it mounts file systems and joins namespaces'],
  ['CAP_SYS_MODULE', 'it loads kernel modules'],
  ['CAP_SYS_RAWIO', 'it reads and writes memory and ports of devices'],
  ['CAP_SYS_BOOT', 'it loads another kernel (kexec)'],
  ['CAP_DAC_READ_SEARCH', 'it opens any file of a mounted file system by its handle (open_by_handle_at)'],
  ['CAP_BPF', 'it loads programs into the kernel'],
  ['CAP_PERFMON', 'it observes the kernel and all processes of the guest'],
  ['CAP_MAC_ADMIN', "it changes the guest's access control"],
  ['CAP_MAC_OVERRIDE', "it passes the guest's access control"],
]);
