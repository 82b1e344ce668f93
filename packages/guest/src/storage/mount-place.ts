import { GuestError } from '../guest-error.js';
import { cleanPath, contains, quoted } from '../source/clean-path.js';
import { rootPlaces } from '../source/root-places.js';

/** For whom a mount point is. */
export interface MountPlaceOwner {
  /** The container whose request it is; undefined: the sandbox. */
  readonly container: string | undefined;
  /** The container that the runtimes make a pod's local volumes under: the sandbox's first. Undefined: there is none. */
  readonly pod: string | undefined;
  /** Ids of the sandbox's other containers. */
  readonly others: readonly string[];
}

/** `*`: any one name; `CID`: the container's own id; `POD`: the id of the pod's first container. */
type Pattern = readonly string[];

function patterns(...texts: readonly string[]): readonly Pattern[] {
  return texts.map((text) => text.split('/'));
}

/** Where a container's root may be mounted. */
const roots = patterns(...rootPlaces);

/** A volume, by the name that the runtimes give it. `virtual-volumes` has layers of an image. */
const volumes = patterns('sandbox/storage/*', 'virtual-volumes/*', 'shared/containers/passthrough/*');

const blocks = [...roots, ...volumes];

/**
 * The mount points of each driver, below Kata's directory, as the runtimes use them. Sources, of Kata 4.1: `mountPoint` and
 * `guestPath` in src/runtime/virtcontainers/{kata_agent,fs_share_linux,container}.go; `mount_point` in
 * src/runtime-rs/crates/resource/src/{rootfs,share_fs,volume}.
 */
const places: ReadonlyMap<string, readonly Pattern[]> = new Map(
  Object.entries({
    'virtio-fs': patterns('shared', 'shared/containers'),
    ephemeral: patterns('sandbox/shm', 'sandbox/ephemeral/*'),
    local: patterns(
      'shared/containers/POD/rootfs/local/*',
      'shared/containers/passthrough/POD/rootfs/local/*',
    ),
    blk: blocks,
    mmioblk: blocks,
    scsi: blocks,
    nvdimm: blocks,
    overlayfs: roots,
    bind: [...roots, ...patterns('sandbox/storage/*')],
    'watchable-bind': patterns('shared/containers/watchable/*', 'shared/containers/passthrough/watchable/*'),
  }),
);

/**
 * The mount point of a storage as a path below Kata's directory, or the reason why there is none: mount points are an
 * allow-list for each driver (S31). Pure.
 *
 * @throws GuestError `refused`
 */
export function mountPlace(driver: string, mountPoint: string, owner: MountPlaceOwner, kata: string): string {
  const names = cleanPath(mountPoint, 'mount point of a storage');
  const path = `/${names.join('/')}`;
  const named = `mount point ${quoted(mountPoint)} of a storage`;
  if (path === kata || !contains(kata, path))
    throw new GuestError('refused', `${named} is not below ${kata}/`);
  const below = path.slice(kata.length + 1);
  const allowed = places.get(driver) ?? [];
  if (!allowed.some((pattern) => fits(pattern, below.split('/'), owner)))
    throw new GuestError(
      'refused',
      `${named} is none where Kata's runtimes mount ${driver}: ${allowed.map((pattern) => pattern.join('/')).join(', ')}`,
    );
  return below;
}

/** Directories of the runtimes beside the volumes in `shared/containers/passthrough`. */
const reserved: ReadonlySet<string> = new Set(['watchable', 'sandbox-mounts']);

function fits(
  pattern: Pattern,
  names: readonly string[],
  { container, pod, others }: MountPlaceOwner,
): boolean {
  return (
    pattern.length === names.length &&
    pattern.every((step, index) => {
      const name = names[index] ?? '';
      if (step === '*') return !reserved.has(name) && !others.includes(name);
      if (step === 'CID') return container !== undefined && name === container;
      if (step === 'POD') return name === pod;
      return name === step;
    })
  );
}
