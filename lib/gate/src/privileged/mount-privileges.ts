import { kataDirectory } from '@kata-agent/catalogue';
import type { Linux, Mount, Spec } from '@kata-agent/protocol/oci';
import { isWithin, normalized, opensPath, type Privilege, type PrivilegeAccess } from './privilege.js';
import { alwaysMasked, alwaysReadOnly, isRuntimesMask } from './runtime-defaults.js';

/** Mount point of each kernel filesystem, and whether it must be read-only. */
const kernelPlaces: Readonly<Record<string, { readonly place: string; readonly readOnly: boolean }>> = {
  proc: { place: '/proc', readOnly: false },
  sysfs: { place: '/sys', readOnly: true },
  cgroup: { place: '/sys/fs/cgroup', readOnly: true },
  cgroup2: { place: '/sys/fs/cgroup', readOnly: true },
};

const quietPropagation: ReadonlySet<string> = new Set(['', 'private', 'rprivate', 'slave', 'rslave']);
const loudPropagation: ReadonlySet<string> = new Set(['shared', 'rshared']);

/** Returns mounts that reach the guest: kernel filesystems, the guest's files, its mount table. */
export function mountPrivileges(spec: Spec, access: PrivilegeAccess): readonly Privilege[] {
  const propagation = spec.Linux?.RootfsPropagation ?? '';
  const mounted = spec.Mounts.map(({ destination, type }) => ({ place: cleaned(destination), type }));
  return [
    ...pathPrivileges(spec.Linux),
    ...(sees(mounted, 'proc', '/proc') ? [] : [missing('no proc at /proc')]),
    ...(sees(mounted, 'tmpfs', '/dev') ? [] : [missing('no tmpfs at /dev')]),
    ...spec.Mounts.flatMap((mount) => privilegesOfMount(mount, access)),
    ...(quietPropagation.has(propagation)
      ? []
      : [{ reason: 'mount-propagation', detail: `root file system ${propagation}` } as const]),
  ];
}

function pathPrivileges(linux: Linux | undefined): readonly Privilege[] {
  const { MaskedPaths: masked = [], ReadonlyPaths: readOnly = [] } = linux ?? {};
  const open = [
    ...alwaysMasked.filter((path) => !masked.includes(path)),
    ...alwaysReadOnly.filter((path) => !masked.includes(path) && !readOnly.includes(path)),
  ];
  return [
    ...open.map((detail): Privilege => ({ reason: 'unmasked-paths', detail })),
    ...[...masked, ...readOnly]
      .filter((path) => !isRuntimesMask(path))
      .map((detail): Privilege => ({ reason: 'other-masked-paths', detail })),
  ];
}

/**
 * Reports whether the last mount at a mount point has this type. The container sees that one, and the OCI runtime uses
 * it: it reads /proc, and creates devices and links in /dev, which therefore must not be another directory.
 */
function sees(
  mounts: readonly { readonly place: string; readonly type: string }[],
  type: string,
  place: string,
): boolean {
  // Only these two contain it.
  return mounts.findLast((mount) => mount.place === place || mount.place === '/')?.type === type;
}

/** Cleans a path as the agent does for the OCI runtime. */
function cleaned(destination: string): string {
  const path = normalized(destination);
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function missing(detail: string): Privilege {
  return { reason: 'kernel-filesystem', detail };
}

function privilegesOfMount(mount: Mount, access: PrivilegeAccess): readonly Privilege[] {
  const { type, source, destination, options } = mount;
  const found: Privilege[] = [];
  const kernel = kernelPlaces[type];
  if (kernel !== undefined && destination !== kernel.place)
    found.push({ reason: 'kernel-filesystem', detail: `${type} at ${destination}` });
  else if (kernel?.readOnly === true && !isReadOnly(mount))
    found.push({ reason: 'kernel-filesystem', detail: `writable ${destination}` });
  else if (kernel === undefined && ['/proc', '/sys'].some((place) => isWithin(destination, place)))
    found.push({ reason: 'kernel-filesystem', detail: `a volume at ${destination}` });
  const ofGuest = isBind(mount) && !isWithin(source, kataDirectory);
  const isDevice = access.devices.includes(source);
  const isWritable = !isReadOnly(mount);
  if (ofGuest && !isDevice && !opensPath(access, source, isWritable))
    found.push({ reason: 'guest-paths', detail: `${isWritable ? 'rw:' : ''}${normalized(source)}` });
  const loud = options.find((option) => loudPropagation.has(option));
  if (loud !== undefined) found.push({ reason: 'mount-propagation', detail: `${destination} ${loud}` });
  return found;
}

/** Volumes of the pod that the agent creates have other types; their sources are Kata's. */
export function isBind({ type, options }: Mount): boolean {
  return type === 'bind' || options.includes('bind') || options.includes('rbind');
}

/** The last of `ro` and `rw` wins. */
function isReadOnly({ options }: Mount): boolean {
  return (
    options.findLast((option) => option === 'ro' || option === 'rw' || option === 'rro') !== 'rw' &&
    options.some((option) => option === 'ro' || option === 'rro')
  );
}
