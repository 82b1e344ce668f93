import type { ThreadNamespace } from '@kata-agent/linux';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';

const pattern = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)*$/;

type Sysctls = Readonly<Record<string, string>>;

export interface SplitSysctls {
  /** Of the container's IPC and UTS namespaces. */
  readonly own: Sysctls;
  /** Of no namespace: they are the whole guest's. */
  readonly guest: Sysctls;
  /** `net.*`: for the sandbox's network namespace, which the container shares. */
  readonly network: Sysctls;
}

/**
 * The sysctls that Kubernetes calls safe (kubelet, pkg/kubelet/sysctl/safe_sysctls.go): of the pod's own network
 * namespace, without an effect on others. containerd 2 sets two of them for every pod: ping_group_range and
 * ip_unprivileged_port_start.
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

/** Returns the namespace of a sysctl by its canonical name; undefined: it is not namespaced. */
export function namespaceOf(name: string): ThreadNamespace | undefined {
  if (name === 'kernel.domainname') return 'uts';
  return ofIpc.test(name) ? 'ipc' : undefined;
}

/** Refuses an invalid name, and a sysctl that is present under two names. */
export function checkSysctlNames(sysctls: Sysctls | undefined): void {
  const names = Object.keys(sysctls ?? {}).map((key) => sysctlName(sysctlPath(key)));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `sysctl ${twice} appears twice`);
}

/** Groups sysctls by namespace. The network namespace is the sandbox's, which the agent is in. */
export function splitSysctls(sysctls: Sysctls | undefined): SplitSysctls {
  const entries = Object.entries(sysctls ?? {}).map(
    ([key, value]) => [sysctlName(sysctlPath(key)), value] as const,
  );
  const partOf = (name: string): keyof SplitSysctls => {
    if (name.startsWith('net.')) return 'network';
    return namespaceOf(name) === undefined ? 'guest' : 'own';
  };
  const part = (wanted: keyof SplitSysctls): Sysctls =>
    Object.fromEntries(entries.filter(([name]) => partOf(name) === wanted));
  return { own: part('own'), guest: part('guest'), network: part('network') };
}

/** Numbers, lists and ranges of numbers: `4096 131072 6291456`, `8080,9148-9150`. An empty value changes nothing. */
const numbers = /^(?:-?\d{1,20}(?:[ \t,-]+\d{1,20})*)?\n?$/;
/** A NIS domain; `(none)` is the kernel's default. Linux takes 64 bytes. */
const domain = /^(?:[A-Za-z0-9._-]{1,64}|\(none\))\n?$/;

/** Values come from the host: only the known syntax of a known sysctl is written. */
function checkValue(name: string, value: string): void {
  const isDomain = name === 'kernel.domainname';
  if (!safe.has(name) && namespaceOf(name) === undefined) return;
  if ((isDomain ? domain : numbers).test(value)) return;
  const wanted = isDomain ? 'a domain name' : 'numbers';
  throw new GuestError('invalid', `sysctl ${name} does not take ${quotedWord(value)}: give it ${wanted}`);
}

/** The value is a program, or a part of its command line, that the kernel runs as root of the guest. */
const runsPrograms =
  /^(?:kernel\.(?:core_pattern|core_pipe_limit|hotplug|modprobe|poweroff_cmd)|kernel\.usermodehelper\..+|fs\.binfmt_misc\..+)$/;

/**
 * Refuses a sysctl of the whole guest, unless the configuration names it. One that would make the kernel run a program of
 * the request's choice is refused in any case.
 *
 * @throws GuestError `invalid`, as with Kata's agent; `refused`
 */
export function checkSysctlNamespaces(
  sysctls: Sysctls | undefined,
  { sysctls: named }: Pick<GuestAccess, 'sysctls'>,
): void {
  const allowed = allowedNames(named);
  for (const name of Object.keys(splitSysctls(sysctls).guest)) {
    if (runsPrograms.test(name))
      throw new GuestError(
        'refused',
        `sysctl ${name} makes the kernel run a program in the guest; help: set it in the guest image`,
      );
    if (!allowed.has(name))
      throw new GuestError(
        'invalid',
        `sysctl ${name} does not belong to a namespace of the container; help: set it in the guest image, or add it to sysctls = ["${name}"]`,
      );
  }
}

function allowedNames(named: readonly string[]): ReadonlySet<string> {
  return new Set(named.map((name) => sysctlName(sysctlPath(name))));
}

/** @throws GuestError `invalid` for a value that a sysctl does not accept. */
export function checkSysctlValues(sysctls: Sysctls | undefined): void {
  const { own, guest, network } = splitSysctls(sysctls);
  for (const [name, value] of Object.entries({ ...own, ...guest, ...network })) checkValue(name, value);
}

/**
 * Refuses sysctls that a container may not set, unless the configuration names them.
 *
 * @throws GuestError `refused`
 */
export function refuseSysctls(
  sysctls: Sysctls | undefined,
  { privileged, sysctls: named }: Pick<GuestAccess, 'privileged' | 'sysctls'>,
): void {
  if (privileged === 'allow') return;
  const { own, guest, network } = splitSysctls(sysctls);
  const allowed = allowedNames(named);
  for (const name of Object.keys({ ...own, ...guest, ...network })) {
    if (safe.has(name) || namespaceOf(name) !== undefined || allowed.has(name)) continue;
    throw new GuestError('refused', `sysctl ${name} is refused; help: add it to sysctls = ["${name}"]`);
  }
}

/**
 * Returns the path of a sysctl below /proc/sys. As for sysctl(8) the first separator decides: in a name with slashes
 * the dots belong to an interface's name, and the other way round.
 *
 * @throws GuestError `invalid` for a name with `..` or an empty part.
 */
export function sysctlPath(name: string): readonly string[] {
  if (!pattern.test(name)) throw new GuestError('invalid', `sysctl ${quotedWord(name)} is not a valid name`);
  const separator = /[./]/.exec(name)?.[0] ?? '.';
  const parts = name.split(separator);
  return separator === '/' ? parts : parts.map((part) => part.replaceAll('/', '.'));
}

/** Returns the canonical name of a sysctl: with dots, and slashes in an interface's name. Comparisons use this form. */
export function sysctlName(path: readonly string[]): string {
  return path.map((part) => part.replaceAll('.', '/')).join('.');
}
