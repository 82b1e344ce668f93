/** A path of the guest that no configuration opens to containers for writing. */
export interface ObeyedPath {
  readonly path: string;
  /** Whether the row is for all that is in the directory as well. */
  readonly tree: boolean;
  /** How a process that writes there becomes root of the guest. */
  readonly way: string;
}

/**
 * Paths of the guest that the kernel or the guest's programs obey: a process that writes there is root of the guest. No container may
 * unless privileged ones are allowed.
 *
 * Source: proc_sys_kernel(5); cgroups(7); systemd.unit(5); udev(7); hier(7).
 */
export const obeyedPaths: readonly ObeyedPath[] = [
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
export function obeyedPathOf(entry: string): ObeyedPath | undefined {
  if (!entry.startsWith('rw:')) return undefined;
  const written = entry.slice('rw:'.length);
  return obeyedPaths.find(({ path, tree }) => written === path || (tree && written.startsWith(`${path}/`)));
}
