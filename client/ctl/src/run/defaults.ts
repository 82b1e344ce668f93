import { alwaysMasked } from '@kata-agent/gate';

/**
 * Defaults for a container, as container engines commonly set them (sources: the OCI runtime specification's
 * config-linux.md, containerd's default spec).
 */

/** The engines' default for the environment of a container. */
export const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface MountRow {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export const defaultMounts: readonly MountRow[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/** The guest's network namespace is used, as in a pod. */
export const defaultNamespaces: readonly string[] = ['pid', 'ipc', 'uts', 'mount'];

/** As in newer engines, with the files that allow power analysis of other containers. */
export const maskedPaths: readonly string[] = [...alwaysMasked, '/sys/devices/virtual/powercap'];
