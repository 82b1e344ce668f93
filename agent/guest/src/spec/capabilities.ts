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
