/**
 * Where Kata's runtimes put the root of a container, below Kata's directory; `CID` is the container's id. Sources, of Kata 4.1:
 * `ShareRootFilesystem` in src/runtime/virtcontainers/fs_share_linux.go; src/runtime-rs/crates/resource/src/rootfs and
 * `do_get_guest_path` in src/runtime-rs/crates/resource/src/share_fs/utils.rs.
 */
export const rootPlaces: readonly string[] = [
  'CID/rootfs',
  'shared/containers/CID',
  'shared/containers/CID/rootfs',
  'shared/containers/passthrough/CID/rootfs',
];

/** Whether the runtimes put this container's root at this place below Kata's directory. */
export function isRootPlace(below: string, container: string): boolean {
  return rootPlaces.some((place) => place.replace('CID', container) === below);
}

/** Directories that hold what belongs to many containers: one of them as a source would show all of it. */
const common: ReadonlySet<string> = new Set([
  'shared/containers/passthrough',
  'shared/containers/passthrough/watchable',
  'shared/containers/rafs',
  'shared/containers/watchable',
]);

export function holdsManyContainers(below: string): boolean {
  return common.has(below);
}

/**
 * The container whose root has this place, by the place alone: also of one that is not there yet, or no more. A pod's local
 * volumes lie in such a directory as well.
 */
export function rootOwnerOf(below: string): string | undefined {
  return /^(?:shared\/containers\/(?:passthrough\/)?)?([^/]+)\/rootfs(?:\/|$)/.exec(below)?.[1];
}
