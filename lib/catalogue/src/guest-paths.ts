/** A sensitive path: a process that writes there is root of the guest, so that no configuration opens it to containers for writing. */
export interface SensitivePath {
  readonly path: string;
  /** Whether the row is for all that is in the directory as well. */
  readonly tree: boolean;
  /** How a process that writes there becomes root of the guest. */
  readonly way: string;
}

/**
 * Where the kernel and the guest's programs read what they do, as with sensitive hostPath volumes of Kubernetes.
 *
 * Source: proc_sys_kernel(5); cgroups(7); systemd.unit(5); udev(7); hier(7).
 */
export const sensitivePaths: readonly SensitivePath[] = [
  { path: '/proc', tree: true, way: 'sysctls name programs that the kernel runs' },
  { path: '/sys', tree: true, way: 'cgroups, drivers and tracing of the kernel are there' },
  { path: '/run/systemd', tree: true, way: 'systemd loads units from it' },
  { path: '/run/udev', tree: true, way: 'udev runs what its rules name' },
  ...['/bin', '/boot', '/etc', '/lib', '/lib64', '/sbin', '/usr'].map((path) => ({
    path,
    tree: true,
    way: "the guest's programs run or read it",
  })),
  { path: '/dev', tree: false, way: "the guest's programs open its nodes by name" },
  { path: '/run', tree: false, way: "the guest's services and containers are there" },
];

/**
 * Returns the row that excludes an entry of `guest_paths`; undefined if it can be in the configuration.
 *
 * @param entry `/PATH` or `rw:/PATH`, clean
 */
export function sensitivePathOf(entry: string): SensitivePath | undefined {
  if (!entry.startsWith('rw:')) return undefined;
  const written = entry.slice('rw:'.length);
  return sensitivePaths.find(
    ({ path, tree }) => written === path || (tree && written.startsWith(`${path}/`)),
  );
}
