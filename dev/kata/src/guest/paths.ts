// Programs and files of this repository that a guest needs.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';

export const agentProgram: string = join(root, 'agent', 'server', 'bin', 'kata-agent.mjs');

/** A configuration that serves everything. */
export const openConfiguration: string = join(root, 'examples', 'open.toml');

/** Preloaded by an agent: mounts of virtio-fs become bind mounts. */
export const virtiofsPreload: string = fileURLToPath(
  import.meta.resolve('@kata-agent/tool-command/virtiofs-bind'),
);

/** The program that replaces Cloud Hypervisor. */
export const vmmProgram: string = fileURLToPath(new URL('cloud-hypervisor.js', import.meta.url));

export const ctlProgram: string = join(root, 'client', 'ctl', 'bin', 'kata-agent-ctl.mjs');

/** The name of a configuration in the directory of the guests, for those that start while it is there. */
export const givenConfiguration = 'agent.toml';

// A root for what runs in a mount namespace of its own: the files of this machine, none of which it can change.

/**
 * Shell text that takes `$1`, a directory that stays that of the machine, and `$2`, the name of an entry of `/` that is left out (may be
 * empty), makes the root and shifts both away. It must run in a new mount namespace with private propagation.
 *
 * Each directory is the lower layer of an overlay, so that what is written ends with the namespace. A directory that cannot be one,
 * and a file that is mounted, is read-only. `/run` is empty; /dev, /proc and /sys are the machine's, with its cgroups.
 */
export const ownRoot: string = `set -e
mount -t tmpfs -o mode=755 kata /run
mkdir /run/root /run/layers
mount -t tmpfs -o mode=755 kata /run/root
mkdir /run/root/run /run/root/old
layers=0
cover() {
  layers=$((layers + 1))
  mkdir -p "/run/layers/$layers/upper" "/run/layers/$layers/work"
  mount -t overlay -o "lowerdir=$1,upperdir=/run/layers/$layers/upper,workdir=/run/layers/$layers/work" kata "/run/root$1" 2>/dev/null || readonly_bind "$1"
}
readonly_bind() {
  mount --bind "$1" "/run/root$1"
  mount -o remount,bind,ro "/run/root$1"
}
for entry in /*; do
  case "$entry" in
    /run | /old | "/$2") continue ;;
    /dev | /proc | /sys) mkdir "/run/root$entry"; mount --rbind "$entry" "/run/root$entry"; continue ;;
  esac
  if [ -L "$entry" ]; then cp -a "$entry" /run/root
  elif [ -d "$entry" ]; then mkdir "/run/root$entry"; cover "$entry"
  fi
done
cut -d ' ' -f 5 /proc/self/mountinfo | sort -u | while read -r place; do
  case "$place" in
    / | /run | /run/* | /old | /old/* | /dev | /dev/* | /proc | /proc/* | /sys | /sys/* | "/$2" | "/$2"/*) continue ;;
  esac
  # The mount may be hidden by another one, or have a name with a space.
  if [ ! -e "/run/root$place" ] || [ ! -e "$place" ]; then continue; fi
  if [ -d "$place" ]; then cover "$place"; else readonly_bind "$place"; fi
done
mkdir -p "/run/root$1"
mount --bind "$1" "/run/root$1"
cd /run/root
pivot_root . old
cd /
umount -l /old
rmdir /old
mount -t tmpfs -o mode=755 kata /run
shift 2
`;

/** The options of unshare(1) for namespaces that end with their first process. `others`: beside mount and PID. */
export function namespaceOptions(...others: readonly ('net' | 'uts' | 'ipc')[]): readonly string[] {
  const more = others.map((name) => `--${name}`);
  return ['--mount', ...more, '--pid', '--fork', '--mount-proc', '--kill-child', '--propagation', 'private'];
}
