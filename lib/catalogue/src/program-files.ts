/** What a dynamically linked program of a Linux image uses besides its own file. */

/** Where the dynamic linkers of glibc and musl search without configuration. */
export const libraryDirectories: readonly string[] = [
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/usr/lib',
  '/usr/lib32',
  '/usr/lib64',
  '/usr/libx32',
  '/usr/local/lib',
  '/usr/local/lib32',
  '/usr/local/lib64',
];

/** Files that choose the libraries of every program: of glibc (ld.so(8)), and of musl. */
export const linkerFiles: readonly string[] = [
  '/etc/ld.so.preload',
  '/etc/ld.so.cache',
  '/etc/ld-musl-x86_64.path',
  '/etc/ld-musl-aarch64.path',
];

/** The PATH that engines set if the image has none. Source: containerd `pkg/oci/spec.go`. */
export const enginePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Directories of `/` that have no name of a library, or of a processor. Source: FHS 3.0, and /proc and /sys. */
export const defaultDirectories: ReadonlySet<string> = new Set(
  'bin boot data dev etc home media mnt opt proc root run sbin srv sys tmp usr var'.split(' '),
);
