import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { sysctlName, sysctlPath } from './sysctl-name.js';

type Sysctls = Readonly<Record<string, string>>;

export interface SplitSysctls {
  /** For runc. */
  readonly own: Sysctls;
  /** `net.*`: for the sandbox's network namespace, which the container shares. */
  readonly network: Sysctls;
}

/**
 * What Kubernetes calls safe (kubelet, pkg/kubelet/sysctl/safe_sysctls.go): of the pod's own network namespace, without an
 * effect on others. Two of them containerd 2 sets for every pod: ping_group_range and ip_unprivileged_port_start.
 */
const safe: ReadonlySet<string> = new Set([
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

/** Of an IPC or UTS namespace: those that runc takes (libcontainer/configs/validate), which sees that it is not the guest's. */
const namespaced =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|domainname)|fs\.mqueue\..+)$/;

/** runc refuses `net.*` for a container without a network namespace of its own, which none here has. */
export function splitSysctls(sysctls: Sysctls | undefined): SplitSysctls {
  const entries = Object.entries(sysctls ?? {}).map(
    ([key, value]) => [sysctlName(sysctlPath(key)), value] as const,
  );
  const names = entries.map(([name]) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `sysctl ${twice} is there twice`);
  const isNetwork = ([name]: readonly [string, string]): boolean => name.startsWith('net.');
  return {
    own: Object.fromEntries(entries.filter((entry) => !isNetwork(entry))),
    network: Object.fromEntries(entries.filter(isNetwork)),
  };
}

/**
 * Refuses sysctls that are not a container's to set, unless the configuration names them.
 *
 * @throws GuestError `refused`
 */
export function checkSysctls(
  sysctls: Sysctls | undefined,
  { privileged, sysctls: named }: GuestAccess,
): void {
  const { own, network } = splitSysctls(sysctls);
  if (privileged === 'allow') return;
  const allowed = new Set(named.map((name) => sysctlName(sysctlPath(name))));
  for (const name of [...Object.keys(own), ...Object.keys(network)]) {
    if (safe.has(name) || namespaced.test(name) || allowed.has(name)) continue;
    throw new GuestError('refused', `sysctl ${name} is refused; sysctls = ["${name}"] permits it`);
  }
}
