const pattern = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)*$/;

/**
 * The sysctls that Kubernetes calls safe (kubelet, pkg/kubelet/sysctl/safe_sysctls.go): of the pod's own network
 * namespace, without an effect on others. containerd 2 sets two of them for every pod: ping_group_range and
 * ip_unprivileged_port_start.
 */
export const safeSysctls: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

const ofIpc =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;

/** The value is a program, or a part of its command line, that the kernel runs as root of the guest. */
const runsPrograms =
  /^(?:kernel\.(?:core_pattern|core_pipe_limit|hotplug|modprobe|poweroff_cmd)|kernel\.usermodehelper\..+|fs\.binfmt_misc\..+)$/;

/** Returns the namespace of a container that a sysctl belongs to, by its canonical name; undefined: none of its own. */
export function sysctlNamespace(name: string): 'ipc' | 'uts' | undefined {
  if (name === 'kernel.domainname') return 'uts';
  return ofIpc.test(name) ? 'ipc' : undefined;
}

/**
 * Returns the path of a sysctl below /proc/sys. As for sysctl(8) the first separator decides: in a name with slashes
 * the dots belong to an interface's name, and the other way round. Undefined: a name with `..` or an empty part.
 */
export function sysctlParts(name: string): readonly string[] | undefined {
  if (!pattern.test(name)) return undefined;
  const separator = /[./]/.exec(name)?.[0] ?? '.';
  const parts = name.split(separator);
  return separator === '/' ? parts : parts.map((part) => part.replaceAll('/', '.'));
}

/** Returns the canonical name of a sysctl: with dots, and slashes in an interface's name. Comparisons use this form. */
export function canonicalSysctl(path: readonly string[]): string {
  return path.map((part) => part.replaceAll('.', '/')).join('.');
}

/** Reports whether the agent refuses a sysctl whatever the configuration allows; by its canonical name. */
export function sysctlRunsPrograms(name: string): boolean {
  return runsPrograms.test(name);
}

/** Reports whether a container may set a sysctl only if `[agent] sysctls` names it; by its canonical name. */
export function needsSysctlKey(name: string): boolean {
  return !safeSysctls.has(name) && sysctlNamespace(name) === undefined;
}
