import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';

/**
 * Directories of the guest from which Kata's runtimes mount into containers. Names in them have IDs and random digits,
 * so that a rule can only name the directory.
 *
 * Source: `virtcontainers/kata_agent.go` and `fs_share_linux.go` of Kata Containers 4.1.0.
 */
const places = [
  `${sharedDirectory}/`,
  `${kataDirectory}/sandbox/ephemeral/`,
  `${kataDirectory}/sandbox/storage/`,
  `${kataDirectory}/virtual-volumes/`,
  `${kataDirectory}/image/`,
] as const;

/** Names that `within` of rules does not accept below a directory: empty, `.` or `..`. */
const led = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** The rootfs of a container whose image is pulled in the guest: `/run/kata-containers/ID/rootfs`. */
const root = /^(\/run\/kata-containers\/)[A-Za-z0-9_.-]+\/rootfs$/;

/** Returns the part of a path that a rule can use: the directory with its final slash, or the whole path. */
export function sourcePlace(path: string): string {
  const pulled = root.exec(path)?.[1];
  if (pulled !== undefined) return pulled;
  return places.find((place) => path.startsWith(place) && !led.test(path.slice(1))) ?? path;
}
