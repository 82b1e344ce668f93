import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';
import { cleanPath, contains, quoted } from './clean-path.js';
import { holdsManyContainers, isRootPlace, rootOwnerOf, rootPlaces } from './root-places.js';

/** What decides where a source may lie. */
export interface SourceRules {
  readonly paths: Pick<GuestPaths, 'kata' | 'state' | 'dev'>;
  readonly access: GuestAccess;
}

/** A path of a request that a mount, an overlay or a root may be made of. */
export interface RequestedSource {
  readonly path: string;
  /** For errors: `source of the mount at "/data"`. */
  readonly named: string;
  /** The container that it is for; undefined: the sandbox. */
  readonly container: string | undefined;
  /** It is to be the container's root. */
  readonly isRoot?: boolean;
}

/** Where a source is opened: `below` a base that is the agent's own to name. */
export interface SourcePlace {
  /** A directory whose path is trusted and resolved as usual. */
  readonly base: string;
  /** Relative to the base; empty: the base itself. No symbolic link in it is followed. */
  readonly below: string;
  /** The whole path, clean. */
  readonly path: string;
  /** False: a container may read it, whatever the request says. */
  readonly writable: boolean;
  /**
   * `kata`: of the sandbox, by Kata's layout; `listed`: named by the configuration; `kernel`: named by it, and of `/dev`,
   * `/proc` or `/sys`; `device`: a device that it names; `guest`: any other place of the guest, for a privileged container.
   */
  readonly kind: 'kata' | 'listed' | 'kernel' | 'device' | 'guest';
}

/** A configuration that lists a path below one of these means an interface of the kernel, or a device. */
const kernelPlaces = ['/dev', '/proc', '/sys'];

/**
 * Decides by its path alone whether a request may name a source, and where it is opened. Pure.
 *
 * Sources lie in Kata's directories, in the places that its runtimes use (Kata 4.1: virtcontainers/kata_agent.go and
 * fs_share_linux.go, runtime-rs/crates/resource), and never in another container's; a root lies where the runtimes put it.
 * Elsewhere in the guest only what the configuration lists, or anything but the agent's state where privileged containers are
 * allowed.
 */
export function sourcePlace(requested: RequestedSource, { paths, access }: SourceRules): SourcePlace {
  const { named, container } = requested;
  const names = cleanPath(requested.path, named);
  const path = `/${names.join('/')}`;
  const refused = (why: string): GuestError =>
    new GuestError('refused', `${named} ${quoted(requested.path)} ${why}`);
  if (contains(paths.state, path)) throw refused(`lies in the agent's own state (${paths.state})`);
  if (contains(paths.kata, path)) {
    const below = path.slice(paths.kata.length + 1);
    if (!isOfRuntimes(below.split('/'), container))
      throw refused(`is no place that Kata's runtimes use for a source below ${paths.kata}`);
    if (holdsManyContainers(below)) throw refused('holds what belongs to several containers');
    // Where privileged containers are allowed, a root may have any name, as for Kata's agent.
    const root = access.privileged === 'allow' ? undefined : rootOwnerOf(below);
    if (root !== undefined && root !== container && !isLocalVolume(below))
      throw refused(`is a place of container ${root}`);
    if (requested.isRoot === true && access.privileged === 'refuse' && !isRootPlace(below, container ?? ''))
      throw refused(
        `is no place of this container's root below ${paths.kata}: it is one of ${rootPlaces.join(', ')}, where CID is the container's id`,
      );
    return { base: paths.kata, below, path, writable: true, kind: 'kata' };
  }
  if (contains(path, paths.state) || contains(path, paths.kata))
    throw refused(`contains the agent's own state (${paths.state}) or Kata's directory (${paths.kata})`);
  const listed = access.paths.filter((each) => contains(each.path, path));
  const [longest] = listed.toSorted((a, b) => b.path.length - a.path.length);
  if (longest !== undefined) {
    const below = path.slice(longest.path.length + 1);
    const kind = kernelPlaces.some((each) => contains(each, longest.path)) ? 'kernel' : 'listed';
    return { base: longest.path, below, path, writable: longest.writable, kind };
  }
  const device = access.devices.some((each) => each.kind === 'path' && each.path === path);
  if (device) {
    const below = path.slice(paths.dev.length + 1);
    return { base: paths.dev, below, path, writable: true, kind: 'device' };
  }
  if (access.privileged === 'allow')
    return { base: '/', below: path.slice(1), path, writable: true, kind: 'guest' };
  throw refused(
    `is not in Kata's directories: list it in guest_paths of the configuration, or set privileged_containers = "allow"`,
  );
}

/** A pod's local volume lies in the directory of its first container's root. */
function isLocalVolume(below: string): boolean {
  return /^shared\/containers\/(?:passthrough\/)?[^/]+\/rootfs\/local\/./.test(below);
}

/** Whether the runtimes make sources at this place below Kata's directory. */
function isOfRuntimes(names: readonly string[], container: string | undefined): boolean {
  const [first = '', second = ''] = names;
  const depth = names.length;
  switch (first) {
    case 'shared':
      // `shared/containers` has the share itself, and `shared/rafs` Nydus images: only what lies in them is a source.
      return (second === 'containers' && depth >= 3) || (second === 'rafs' && depth >= 4);
    case 'sandbox':
      if (second === 'shm') return true;
      return (second === 'ephemeral' || second === 'storage') && depth >= 3;
    case 'virtual-volumes':
      return depth >= 2;
    default:
      return container !== undefined && first === container && depth >= 2;
  }
}
