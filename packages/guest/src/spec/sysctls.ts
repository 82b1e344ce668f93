import type { ThreadNamespace } from '@kata-agent/linux';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { sysctlName, sysctlPath } from './sysctl-name.js';

type Sysctls = Readonly<Record<string, string>>;

export interface SplitSysctls {
  /** Of the container's IPC and UTS namespaces, if they are of any. */
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

const ofIpc =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;

/** The namespace that a sysctl is of, by its one name; undefined: none that a container has to itself. */
export function namespaceOf(name: string): ThreadNamespace | undefined {
  if (name === 'kernel.domainname') return 'uts';
  return ofIpc.test(name) ? 'ipc' : undefined;
}

/** By the namespace that they are of. The network's is the sandbox's, which the agent is in. */
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

/** Numbers, lists and ranges of numbers: `4096 131072 6291456`, `8080,9148-9150`. Empty changes nothing. */
const numbers = /^(?:-?\d{1,20}(?:[ \t,-]+\d{1,20})*)?\n?$/;
/** A NIS domain; `(none)` is the kernel's own. Linux takes 64 bytes. */
const domain = /^(?:[A-Za-z0-9._-]{1,64}|\(none\))\n?$/;

/** A value is text from the host: what a known sysctl takes is known, and nothing else is written. */
function checkValue(name: string, value: string): void {
  const isDomain = name === 'kernel.domainname';
  if (!safe.has(name) && namespaceOf(name) === undefined) return;
  if ((isDomain ? domain : numbers).test(value)) return;
  const wanted = isDomain ? 'a domain name' : 'numbers';
  throw new GuestError(
    'invalid',
    `sysctl ${name} does not take ${JSON.stringify(value.slice(0, 80))}: give it ${wanted}`,
  );
}

/**
 * Those that the agent writes in the container's namespaces.
 *
 * @throws GuestError `invalid` for one of the whole guest, which no container sets.
 */
export function checkNamespaces(own: Sysctls): Sysctls {
  const name = Object.keys(own).find((each) => namespaceOf(each) === undefined);
  if (name === undefined) return own;
  throw new GuestError(
    'invalid',
    `sysctl ${name} is of no namespace that a container has: set it in the guest's image`,
  );
}

/**
 * Refuses values that a sysctl does not take, and sysctls that are not a container's to set, unless the configuration
 * names them.
 *
 * @throws GuestError `invalid`, `refused`
 */
export function checkSysctls(
  sysctls: Sysctls | undefined,
  { privileged, sysctls: named }: GuestAccess,
): void {
  const { own, network } = splitSysctls(sysctls);
  for (const [name, value] of Object.entries({ ...own, ...network })) checkValue(name, value);
  if (privileged === 'allow') return;
  const allowed = new Set(named.map((name) => sysctlName(sysctlPath(name))));
  for (const name of [...Object.keys(own), ...Object.keys(network)]) {
    if (safe.has(name) || namespaceOf(name) !== undefined || allowed.has(name)) continue;
    throw new GuestError('refused', `sysctl ${name} is refused; sysctls = ["${name}"] permits it`);
  }
}
