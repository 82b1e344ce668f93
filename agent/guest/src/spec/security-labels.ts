import { GuestError } from '../guest-error.js';
import type { OciLinux, OciProcess } from '../request/oci-spec.js';

/** What AppArmor calls a process without a profile. */
const unconfined = 'unconfined';

/**
 * Refuses a label that the kernel cannot enforce, as Kata's agent does (rustjail/src/container.rs).
 *
 * @throws GuestError `precondition`
 */
export function checkSelinuxLabel(
  { selinuxLabel = '' }: OciProcess,
  { selinux }: Pick<Capabilities, 'selinux'>,
): void {
  if (selinuxLabel === '' || selinux) return;
  throw new GuestError(
    'precondition',
    `SELinux label ${JSON.stringify(selinuxLabel)} for the process is provided but SELinux is not enabled on the running kernel: use a guest kernel with SELinux, or disable_guest_selinux = true in Kata's configuration`,
  );
}

/**
 * Returns the AppArmor profile for the OCI runtime; undefined if the kernel has not loaded it. containerd sends its
 * default profile whenever the host has AppArmor, and Kata's agent applies none.
 */
export function enforceableProfile(
  { apparmorProfile = '' }: OciProcess,
  { hasAppArmorProfile }: Pick<Capabilities, 'hasAppArmorProfile'>,
): string | undefined {
  return apparmorProfile !== '' && hasAppArmorProfile(apparmorProfile) ? apparmorProfile : undefined;
}

/** Returns a warning for each profile and label of a request that is ignored. */
export function ignoredLabels(
  process: OciProcess,
  linux: Pick<OciLinux, 'mountLabel'>,
  capabilities: Capabilities,
): readonly string[] {
  const { apparmorProfile = '' } = process;
  const { mountLabel = '' } = linux;
  const warnings: string[] = [];
  if (
    apparmorProfile !== '' &&
    apparmorProfile !== unconfined &&
    enforceableProfile(process, capabilities) === undefined
  )
    warnings.push(
      `AppArmor profile ${JSON.stringify(apparmorProfile)} is ignored: the guest's kernel has not loaded it`,
    );
  if (mountLabel !== '' && !capabilities.selinux)
    warnings.push(
      `SELinux label ${JSON.stringify(mountLabel)} of the mounts is ignored: the guest's kernel has no SELinux`,
    );
  return warnings;
}

/** Features of the guest's kernel and runtime that a spec depends on. */
export interface Capabilities {
  readonly seccomp: boolean;
  /** Reports whether the kernel has loaded this AppArmor profile. */
  readonly hasAppArmorProfile: (name: string) => boolean;
  readonly selinux: boolean;
  readonly cgroupVersion: 1 | 2;
  /** systemd creates the cgroups of containers whose path has its form. */
  readonly systemd: boolean;
  /** The huge page sizes that it can limit: `2MB`. */
  readonly hugePages: readonly string[];
  /** Known vulnerabilities of the OCI runtime's version, by CVE number (S12). */
  readonly flaws: readonly string[];
  /** Default pids limit of a container; undefined: the guest cannot limit them. */
  readonly processes?: number | undefined;
}
