/**
 * The folders of the guest in which Kata's runtimes put what they mount into containers. Names in them hold
 * identifiers and random digits, so that a rule can name the folder alone.
 *
 * Source: `virtcontainers/kata_agent.go` and `fs_share_linux.go` of Kata Containers 4.1.0.
 */
const places = [
  '/run/kata-containers/shared/containers/',
  '/run/kata-containers/sandbox/ephemeral/',
  '/run/kata-containers/sandbox/storage/',
  '/run/kata-containers/virtual-volumes/',
  '/run/kata-containers/image/',
] as const;

/** What `within` of rules takes for no path below a folder: names that are empty, `.` or `..`. */
const led = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** Where the root filesystem of a container goes that is pulled in the guest: `/run/kata-containers/ID/rootfs`. */
const root = /^(\/run\/kata-containers\/)[A-Za-z0-9_.-]+\/rootfs$/;

/** The part of a path that a rule can rest on: the folder with its final slash, or the path as it is. */
export function sourcePlace(path: string): string {
  const pulled = root.exec(path)?.[1];
  if (pulled !== undefined) return pulled;
  return places.find((place) => path.startsWith(place) && !led.test(path.slice(1))) ?? path;
}
