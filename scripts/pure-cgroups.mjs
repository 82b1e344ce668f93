// Cgroups for tests and benchmarks of crun, which refuses a hybrid layout.
import { existsSync } from 'node:fs';

/**
 * A shell script that leaves cgroup v1 alone in this mount namespace. It builds a new /sys/fs/cgroup: without the
 * cgroup2 mount, crun would create its directories in the mount point.
 */
const leaveV1 = `
umount /sys/fs/cgroup/unified && old=$(mktemp -d) && mount --rbind /sys/fs/cgroup "$old" &&
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup || exit
for each in "$old"/*; do
  name=\${each##*/}
  [ "$name" = unified ] || { mkdir "/sys/fs/cgroup/$name" && mount --bind "$each" "/sys/fs/cgroup/$name"; } || exit
done
umount -R "$old" && rmdir "$old" && exec "$0" "$@"`;

/**
 * Returns the command to run: where cgroups are hybrid, in a mount namespace with those of v1 alone, which needs root.
 *
 * @param {readonly string[]} command
 * @returns {readonly string[]}
 */
export function withPureCgroups(command) {
  if (!existsSync('/sys/fs/cgroup/unified/cgroup.controllers') || process.getuid?.() !== 0) return command;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', leaveV1, ...command];
}
