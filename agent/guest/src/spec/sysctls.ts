import {
  canonicalSysctl,
  needsSysctlKey,
  sysctlNamespace,
  sysctlParts,
  sysctlRunsPrograms,
} from '@kata-agent/catalogue';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';

type Sysctls = Readonly<Record<string, string>>;

export interface SplitSysctls {
  /** Of the container's IPC and UTS namespaces. */
  readonly own: Sysctls;
  /** Of no namespace: they are the whole guest's. */
  readonly guest: Sysctls;
  /** `net.*`: for the sandbox's network namespace, which the container shares. */
  readonly network: Sysctls;
}

/** Refuses an invalid name, and a sysctl that is present under two names. */
export function checkSysctlNames(sysctls: Sysctls | undefined): void {
  const names = Object.keys(sysctls ?? {}).map((key) => canonicalSysctl(sysctlPath(key)));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `sysctl ${twice} appears twice`);
}

/** Groups sysctls by namespace. The network namespace is the sandbox's, which the agent is in. */
export function splitSysctls(sysctls: Sysctls | undefined): SplitSysctls {
  const entries = Object.entries(sysctls ?? {}).map(
    ([key, value]) => [canonicalSysctl(sysctlPath(key)), value] as const,
  );
  const partOf = (name: string): keyof SplitSysctls => {
    if (name.startsWith('net.')) return 'network';
    return sysctlNamespace(name) === undefined ? 'guest' : 'own';
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
  if (needsSysctlKey(name)) return;
  if ((isDomain ? domain : numbers).test(value)) return;
  const wanted = isDomain ? 'a domain name' : 'numbers';
  throw new GuestError('invalid', `sysctl ${name} does not take ${quotedWord(value)}: give it ${wanted}`);
}

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
    if (sysctlRunsPrograms(name))
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
  return new Set(named.map((name) => canonicalSysctl(sysctlPath(name))));
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
    if (!needsSysctlKey(name) || allowed.has(name)) continue;
    throw new GuestError('refused', `sysctl ${name} is refused; help: add it to sysctls = ["${name}"]`);
  }
}

/**
 * Returns the path of a sysctl below /proc/sys.
 *
 * @throws GuestError `invalid` for a name with `..` or an empty part.
 */
export function sysctlPath(name: string): readonly string[] {
  const parts = sysctlParts(name);
  if (parts === undefined) throw new GuestError('invalid', `sysctl ${quotedWord(name)} is not a valid name`);
  return parts;
}
