import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import { quotedPath } from '../quoted.js';

/**
 * Where Kata's runtimes put the root of a container, below Kata's directory; `CID` is the container's id. Sources, of Kata 4.1:
 * `ShareRootFilesystem` in src/runtime/virtcontainers/fs_share_linux.go; src/runtime-rs/crates/resource/src/rootfs and
 * `do_get_guest_path` in src/runtime-rs/crates/resource/src/share_fs/utils.rs.
 */
export const rootPaths: readonly string[] = [
  'CID/rootfs',
  'shared/containers/CID',
  'shared/containers/CID/rootfs',
  'shared/containers/passthrough/CID/rootfs',
];

/** Directories with the files of many containers: as a source, such a directory would expose all of them. */
const common: ReadonlySet<string> = new Set([
  'shared/containers/passthrough',
  'shared/containers/passthrough/watchable',
  'shared/containers/rafs',
  'shared/containers/watchable',
]);

/** The configuration that sources are checked against. */
export interface SourceRules {
  readonly paths: Pick<GuestPaths, 'kata' | 'state' | 'dev' | 'sys'>;
  readonly access: GuestAccess;
}

/** A path of a request used as a source of a mount, overlay or root. */
export interface RequestedSource {
  readonly path: string;
  /** For errors: `source of the mount at "/data"`. */
  readonly named: string;
  /** The container that it is for; undefined: the sandbox. */
  readonly container: string | undefined;
  /** It is used as the container's root. */
  readonly isRoot?: boolean;
}

/** Where a source is opened: `below` a base that the agent trusts. */
export interface SourcePlace {
  /** A directory whose path is trusted and resolved as usual. */
  readonly base: string;
  /** Relative to the base; empty: the base itself. No symbolic link in it is followed. */
  readonly below: string;
  /** The whole path, clean. */
  readonly path: string;
  /** False: the container may only read it, whatever the request says. */
  readonly writable: boolean;
  /**
   * `kata`: in Kata's directory; `listed`: listed in the configuration; `kernel`: listed, and in `/dev`, `/proc` or `/sys`;
   * `device`: a device that the configuration lists; `guest`: any other path of the guest, for a privileged container.
   */
  readonly kind: 'kata' | 'listed' | 'kernel' | 'device' | 'guest';
}

/** If the configuration lists a path below one of these, it means a kernel interface or a device. */
const kernelPlaces = ['/dev', '/proc', '/sys'];

/**
 * Decides from the path alone whether a request may use a source, and where it is opened. Pure.
 *
 * Sources are in Kata's directories, at the paths that its runtimes use (Kata 4.1: virtcontainers/kata_agent.go and
 * fs_share_linux.go, runtime-rs/crates/resource), and never in another container's; a root is where the runtimes put
 * it. Elsewhere in the guest only paths that the configuration lists are allowed, or, where privileged containers are
 * allowed, all but the agent's state.
 */
export function sourcePlace(requested: RequestedSource, { paths, access }: SourceRules): SourcePlace {
  const { named, container } = requested;
  const names = cleanPath(requested.path, named);
  const path = `/${names.join('/')}`;
  const refused = (reason: string): GuestError =>
    new GuestError('refused', `${named} ${quotedPath(requested.path)} ${reason}`);
  if (contains(paths.state, path)) throw refused(`is in the agent's state directory (${paths.state})`);
  if (contains(paths.kata, path)) {
    const below = path.slice(paths.kata.length + 1);
    if (!isOfRuntimes(below.split('/'), container))
      throw refused(`is not a path that Kata's runtimes use for sources below ${paths.kata}`);
    if (holdsManyContainers(below)) throw refused('has the files of several containers');
    // Where privileged containers are allowed, a root may have any path, as with Kata's agent.
    const root = access.privileged === 'allow' ? undefined : rootOwnerOf(below);
    if (root !== undefined && root !== container && !isLocalVolume(below))
      throw refused(`belongs to container ${root}`);
    if (requested.isRoot === true && access.privileged === 'refuse' && !isRootPath(below, container ?? ''))
      throw refused(
        `is not a path of this container's root below ${paths.kata}; help: use one of ${rootPaths.join(', ')}, where CID is the container's id`,
      );
    return { base: paths.kata, below, path, writable: true, kind: 'kata' };
  }
  if (contains(path, paths.state) || contains(path, paths.kata))
    throw refused(
      `contains the agent's state directory (${paths.state}) or Kata's directory (${paths.kata})`,
    );
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
    `is not in Kata's directories; help: add it to guest_paths in the configuration, or set privileged_containers = "allow"`,
  );
}

/** A pod's local volume is in the directory of its first container's root. */
function isLocalVolume(below: string): boolean {
  return /^shared\/containers\/(?:passthrough\/)?[^/]+\/rootfs\/local\/./.test(below);
}

/** Reports whether the runtimes create sources at this path below Kata's directory. */
function isOfRuntimes(names: readonly string[], container: string | undefined): boolean {
  const [first = '', second = ''] = names;
  const depth = names.length;
  switch (first) {
    case 'shared':
      // `shared/containers` is the share itself, and `shared/rafs` has Nydus images: only paths below them are
      // sources.
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

/** Returns the rules alone, which a thread can receive. */
export function rulesOf({ paths: { kata, state, dev, sys }, access }: SourceRules): SourceRules {
  return { paths: { kata, state, dev, sys }, access };
}

/** Reports whether a path below Kata's directory is one where the runtimes put this container's root. */
export function isRootPath(below: string, container: string): boolean {
  return rootPaths.some((place) => place.replace('CID', container) === below);
}

/** Reports whether a path below Kata's directory has the files of many containers. */
function holdsManyContainers(below: string): boolean {
  return common.has(below);
}

/**
 * Returns the id of the container whose root has this path, from the path alone: the container need not exist. A pod's
 * local volumes lie in such a directory as well.
 */
function rootOwnerOf(below: string): string | undefined {
  return /^(?:shared\/containers\/(?:passthrough\/)?)?([^/]+)\/rootfs(?:\/|$)/.exec(below)?.[1];
}
