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

/** Reports whether a path below Kata's directory is one where the runtimes put this container's root. */
export function isRootPath(below: string, container: string): boolean {
  return rootPaths.some((place) => place.replace('CID', container) === below);
}

/** Directories with the files of many containers: as a source, such a directory would expose all of them. */
const common: ReadonlySet<string> = new Set([
  'shared/containers/passthrough',
  'shared/containers/passthrough/watchable',
  'shared/containers/rafs',
  'shared/containers/watchable',
]);

/** Reports whether a path below Kata's directory has the files of many containers. */
export function holdsManyContainers(below: string): boolean {
  return common.has(below);
}

/**
 * Returns the id of the container whose root has this path, from the path alone: the container need not exist. A pod's
 * local volumes lie in such a directory as well.
 */
export function rootOwnerOf(below: string): string | undefined {
  return /^(?:shared\/containers\/(?:passthrough\/)?)?([^/]+)\/rootfs(?:\/|$)/.exec(below)?.[1];
}
